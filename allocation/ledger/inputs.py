"""The inputs of an allocation: loaded once, computed from, recorded with the decision, verified later.

``AllocationInputs`` is plain data. Its JSON is in the decision log, so that every decision can be computed again from
the log alone. Counts are columns: the dates once, and for each count an array for each variant. Where the goal is a
value, the sums of values and of their squares are columns beside them.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from allocation.engine import ENGINE_VERSION, FIRST_ENGINE, FIRST_RULES, RULES, History, Request, Settings
from allocation.engine.analysis.gains import Rewards
from allocation.engine.evidence.window import Window
from allocation.engine.settings import recorded_settings
from allocation.ledger.guards import Guarding, Harm, Watched, find_harms
from allocation.ledger.table import DailyTable
from experiments.metrics import Reward

# What json writes otherwise than orjson: an escape, the one character of ASCII that it alone escapes, and exponents.
_WRITTEN_OTHERWISE = (b"\\", b"\x7f", b"0.0000", *(b"%de" % digit for digit in range(10)))


@dataclass(frozen=True)
class InputVariant:
    """A variant as a decision sees it. ``name`` is not recorded: in the decision log it is the key.

    ``days_with_data``: days with impressions since the start, up to the target date.
    """

    id: int
    key: str
    name: str
    is_control: bool
    is_active: bool
    days_with_data: int = 0

    def to_json(self) -> dict[str, Any]:
        # asdict looks for what is nested, and takes twenty times as long
        return {name: value for name, value in vars(self).items() if name != "name"}


@dataclass(frozen=True)
class GainsSoFar:
    """The gains that the decision before recorded: its part of the sum is closed.

    ``open_days``: those that are not priced as they are now, each with the trials of each variant that are; by the
    first rules all days up to ``through`` are.
    """

    rewards: Rewards
    open_days: Mapping[dt.date, tuple[int, ...]] | None = None
    through: dt.date | None = None

    def priced(self, window: Window) -> NDArray[np.float64]:
        """The trials of the window's days that are priced already, (D', K)."""
        if self.through is not None:
            return np.where((window.days <= self.through.toordinal())[:, None], window.trials, 0.0)
        trials = window.trials.copy()
        if not self.open_days:
            return trials
        place = dict(zip(window.days.tolist(), range(len(trials)), strict=True))
        for date, known in self.open_days.items():
            if (row := place.get(date.toordinal())) is not None:
                trials[row] = known
        return trials

    def to_json(self) -> dict[str, Any]:
        sums = self.rewards._asdict()
        if self.through is not None:
            return {"through": self.through.isoformat(), **sums}
        return {"open": {day.isoformat(): list(n) for day, n in (self.open_days or {}).items()}, **sums}

    @classmethod
    def from_json(cls, recorded: Mapping[str, Any] | None) -> "GainsSoFar | None":
        if recorded is None:
            return None
        rewards = Rewards(**{name: recorded[name] for name in Rewards._fields})
        if "through" in recorded:
            return cls(rewards, through=dt.date.fromisoformat(recorded["through"]))
        return cls(rewards, {dt.date.fromisoformat(day): tuple(n) for day, n in recorded["open"].items()})


@dataclass(frozen=True)
class AllocationInputs:
    """All that the allocation of one experiment for ``target_date`` depends on.

    ``table``: every row from the first day of the window to the latest day, immature days too. ``earlier_impressions``:
    all impressions before these rows. ``days_with_data``: distinct days since the start. ``mismatch``: the alarm of a
    sample-ratio mismatch is open. ``previous``: the shares in force the day before, by variant id; None where there
    were none. ``gains``: those recorded before. ``rules``: which of the engine's it is decided by. ``guarding``: the
    guards, where there are any; the table then reaches back to the first day that counts for them. ``fallback``: it was
    completed because its end had come.
    """

    experiment_id: int
    target_date: dt.date
    reward: Reward
    completed: bool
    winner: int | None
    variants: tuple[InputVariant, ...]
    table: DailyTable
    earlier_impressions: int
    days_with_data: int
    previous: Mapping[int, float] | None
    settings: Settings
    mismatch: bool = False
    gains: GainsSoFar | None = None
    engine_version: str = ENGINE_VERSION
    rules: int = RULES
    guarding: Guarding | None = None
    fallback: bool = False

    @classmethod
    def from_json(cls, recorded: Mapping[str, Any], experiment_id: int) -> Self:
        """The inputs as the decision log holds them, of this engine or of the first one."""
        previous, version = recorded["previous"], recorded["engine_version"]
        variants = tuple(InputVariant(name=v["key"], **v) for v in recorded["variants"])
        return cls(
            experiment_id=experiment_id,
            target_date=dt.date.fromisoformat(recorded["target_date"]),
            reward=Reward(recorded["reward"]),
            completed=recorded["completed"],
            winner=recorded["winner"],
            variants=variants,
            table=_recorded_table(recorded["counts"], variants),
            earlier_impressions=recorded["earlier_impressions"],
            days_with_data=recorded["days_with_data"],
            previous=None if previous is None else {int(pk): share for pk, share in previous.items()},
            settings=recorded_settings(recorded["settings"], version),
            mismatch=recorded.get("mismatch", False),
            gains=GainsSoFar.from_json(recorded.get("gains")),
            engine_version=version,
            rules=recorded.get("rules", FIRST_RULES),
            guarding=Guarding.from_json(recorded.get("guarding")),
            fallback=recorded.get("fallback", False),
        )

    @cached_property
    def as_json(self) -> dict[str, Any]:
        """Plain JSON, as the decision log records it."""
        previous = self.previous
        return {
            **({} if self.rules == FIRST_RULES else {"rules": self.rules}),
            "engine_version": self.engine_version,
            "target_date": self.target_date.isoformat(),
            "reward": self.reward,
            "completed": self.completed,
            "winner": self.winner,
            "variants": [variant.to_json() for variant in self.variants],
            "counts": self.table.to_json(),
            "earlier_impressions": self.earlier_impressions,
            "days_with_data": self.days_with_data,
            "mismatch": self.mismatch,
            "previous": None if previous is None else {str(pk): share for pk, share in previous.items()},
            "gains": None if self.gains is None else self.gains.to_json(),
            "settings": vars(self.settings),
            # only where there are any: the inputs of all others stay what they have been
            **({} if self.guarding is None else {"guarding": self.guarding.to_json()}),
            **({"fallback": True} if self.fallback else {}),
        }

    @cached_property
    def digest(self) -> str:
        return digest(self.as_json)

    @property
    def impressions_so_far(self) -> int:
        return self.earlier_impressions + int(self.table.counts.impressions.sum())

    def variant_days(self, window: Window) -> NDArray[np.int64]:
        """Days with data of each variant up to the window's end, (K,); days that are not mature do not count.

        By the first rules they did, and decisions of the first engine counted those of the experiment.
        """
        if self.engine_version == FIRST_ENGINE:
            return np.full(len(self.variants), self.days_with_data, dtype=np.int64)
        own = np.array([variant.days_with_data for variant in self.variants], dtype=np.int64)
        if self.rules == FIRST_RULES or window.end is None:
            return own
        immature = self.table.counts.impressions[self.table.days > window.end]
        return np.asarray(own - (immature > 0).sum(axis=0))

    def priced(self, window: Window) -> NDArray[np.float64] | None:
        """The trials of the window's days that the decisions before have priced; None where there are none."""
        return None if self.gains is None else self.gains.priced(window)

    @property
    def final(self) -> InputVariant:
        """The variant that gets all traffic at the end: the chosen one, else the control, else the first active."""
        chosen = [variant for variant in self.variants if variant.id == self.winner]
        active = [variant for variant in self.variants if variant.is_active]
        control = [variant for variant in active if variant.is_control]
        return (chosen + control + active)[0]

    def harms(self, end: int | None) -> tuple[Harm, ...]:
        """Find the harms on the days up to ``end``, the last that counts, once; none without a control."""
        if end not in self._harms:
            self._harms[end] = self._find_harms(end)
        return self._harms[end]

    @cached_property
    def _harms(self) -> dict[int | None, tuple[Harm, ...]]:
        return {}

    def _find_harms(self, end: int | None) -> tuple[Harm, ...]:
        control = next((n for n, variant in enumerate(self.variants) if variant.is_control), None)
        if self.guarding is None or control is None or end is None:
            return ()
        known = self.table.between(self.guarding.since or dt.date.min, dt.date.fromordinal(end))
        keys, active = zip(*((variant.key, variant.is_active) for variant in self.variants), strict=True)
        return find_harms(self.guarding, Watched(known.measures, keys, active, control), self.settings)

    def with_gains(self, gains: GainsSoFar | None) -> Self:
        """Add the gains that are known now. The request, which has none of them, stays."""
        added = replace(self, gains=gains)
        vars(added)["_request"] = self._request
        return added

    def to_request(self) -> Request:
        """The engine's request: arrays by position of the variant."""
        return self._request

    @cached_property
    def _request(self) -> Request:
        control = [index for index, variant in enumerate(self.variants) if variant.is_control]
        return Request(
            history=self._history(),
            target_day=self.target_date.toordinal(),
            active=np.array([variant.is_active for variant in self.variants], dtype=bool),
            control=control[0] if control else None,
            previous=np.full(len(self.variants), np.nan)
            if self.previous is None
            else np.array([self.previous.get(variant.id, 0.0) for variant in self.variants]),
            settings=self.settings,
            engine_version=self.engine_version,
            rules=self.rules,
        )

    def _history(self) -> History:
        measures = self.table.measures
        return History(
            days=self.table.days,
            impressions=measures.impressions,
            trials=self.reward.trials(measures),
            successes=self.reward.successes(measures),
            earlier_impressions=float(self.earlier_impressions),
            squares=measures.value_squares if self.reward.is_value else None,
            orders=measures.conversions if self.reward.is_value else None,
        )


def _recorded_table(recorded: Any, variants: Sequence[InputVariant]) -> DailyTable:
    """Columns; rows where the first engine recorded them."""
    if isinstance(recorded, dict):
        return DailyTable.from_json(recorded, len(variants))
    rows = ((dt.date.fromisoformat(date), *row) for date, *row in recorded)
    return DailyTable.of_rows(rows, {variant.id: n for n, variant in enumerate(variants)})


def digest(inputs: Mapping[str, Any]) -> str:
    """SHA-256 of recorded inputs in one canonical form."""
    return hashlib.sha256(canonical(inputs)).hexdigest()


def canonical(inputs: Any) -> bytes:
    """Write what json.dumps does of JSON with finite numbers, by orjson where it writes the same.

    It is ten times as fast, and differs in exponents and in what json escapes.
    """
    try:
        text = orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        text = b"\\"
    if text.isascii() and not any(part in text for part in _WRITTEN_OTHERWISE):
        return text
    return json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode()
