"""The inputs of an allocation: loaded once, computed from, recorded with the decision, verified later.

``AllocationInputs`` is plain data. Its JSON is in the decision log, so that every decision can be computed again from
the log alone. Counts are columns: the dates once, and for each count an array for each variant.
"""

import datetime as dt
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from allocation.engine import ENGINE_VERSION, History, Request, Settings
from allocation.engine.analysis.gains import Rewards
from allocation.engine.settings import recorded_settings
from allocation.ledger.guards import Guarding, GuardRule, Harm, Watched, find_harms
from allocation.models import Allocation, AllocationShare, Kind
from experiments.campaign import End, Guard
from experiments.metrics import COUNT_NAMES, Counts, Reward
from experiments.models import DailyMetric, Experiment, Status, Variant
from experiments.settings_schema import SettingValue

# A date, a variant's id and its counts, in the order of COUNT_NAMES.
MetricRow = tuple[Any, ...]


class DailyTable(NamedTuple):
    """Daily counts in columns: ``days`` (D,) day numbers, rising; each count (D, K), 0 where a variant has no row."""

    days: NDArray[np.int64]
    counts: Counts[NDArray[np.int64]]

    @property
    def dates(self) -> list[dt.date]:
        return [dt.date.fromordinal(day) for day in self.days.tolist()]

    def between(self, start: dt.date, end: dt.date) -> "DailyTable":
        """The days from ``start`` to ``end``, both inside."""
        inside = (self.days >= start.toordinal()) & (self.days <= end.toordinal())
        return DailyTable(self.days[inside], Counts(*(column[inside] for column in self.counts)))

    def to_json(self) -> dict[str, Any]:
        first = int(self.days[0]) if self.days.size else None
        return {
            "first_date": None if first is None else dt.date.fromordinal(first).isoformat(),
            "days": [] if first is None else (self.days - first).tolist(),
            **{name: column.T.tolist() for name, column in zip(COUNT_NAMES, self.counts, strict=True)},
        }

    @classmethod
    def from_json(cls, recorded: Mapping[str, Any], variants: int) -> "DailyTable":
        first = recorded["first_date"]
        start = 0 if first is None else dt.date.fromisoformat(first).toordinal()
        days = np.array(recorded["days"], dtype=np.int64) + start
        shape = (variants, len(days))
        columns = (np.array(recorded[name], dtype=np.int64).reshape(shape).T for name in COUNT_NAMES)
        return cls(days, Counts(*columns))

    @classmethod
    def of_rows(cls, rows: Iterable[MetricRow], place: Mapping[int, int]) -> "DailyTable":
        """From rows in any order. ``place``: the column of each variant id; rows of other variants are left out."""
        known = [(row[0].toordinal(), place[row[1]], *row[2:]) for row in rows if row[1] in place]
        table = np.array(known, dtype=np.int64).reshape(len(known), 2 + len(COUNT_NAMES))
        days, index = np.unique(table[:, 0], return_inverse=True)
        columns = [np.zeros((len(days), len(place)), dtype=np.int64) for _name in COUNT_NAMES]
        for n, column in enumerate(columns):
            column[index, table[:, 1]] = table[:, 2 + n]
        return cls(days, Counts(*columns))


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
        recorded = asdict(self)
        del recorded["name"]
        return recorded


@dataclass(frozen=True)
class GainsSoFar:
    """The gains that the decision before recorded, through its last day with data: that part of the sum is closed."""

    through: dt.date
    rewards: Rewards

    def to_json(self) -> dict[str, Any]:
        return {"through": self.through.isoformat(), **self.rewards._asdict()}

    @classmethod
    def from_json(cls, recorded: Mapping[str, Any] | None) -> "GainsSoFar | None":
        if recorded is None:
            return None
        sums = {name: recorded[name] for name in Rewards._fields}
        return cls(dt.date.fromisoformat(recorded["through"]), Rewards(**sums))


@dataclass(frozen=True)
class AllocationInputs:
    """All that the allocation of one experiment for ``target_date`` depends on.

    ``table``: every row from the first day of the window to the latest day, immature days too. ``earlier_impressions``:
    all impressions before these rows. ``days_with_data``: distinct days since the start. ``mismatch``: the alarm of a
    sample-ratio mismatch is open. ``previous``: the shares in force the day before, by variant id; None where there
    were none. ``gains``: those recorded before. ``guarding``: the guards, where there are any; the table then reaches
    back to the first day that counts for them. ``fallback``: it was completed because its end had come.
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
            guarding=Guarding.from_json(recorded.get("guarding")),
            fallback=recorded.get("fallback", False),
        )

    @cached_property
    def as_json(self) -> dict[str, Any]:
        """Plain JSON, as the decision log records it."""
        previous = self.previous
        return {
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
            "settings": asdict(self.settings),
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

    @property
    def variant_days(self) -> NDArray[np.int64]:
        """Days with data of each variant, (K,); decisions of the first engine counted those of the experiment."""
        own = [variant.days_with_data for variant in self.variants]
        return np.array(own if any(own) else [self.days_with_data] * len(own), dtype=np.int64)

    def harms(self, end: int | None) -> tuple[Harm, ...]:
        """Find the harms on the days up to ``end``, the last that counts; none without a control."""
        control = next((n for n, variant in enumerate(self.variants) if variant.is_control), None)
        if self.guarding is None or control is None or end is None:
            return ()
        known = self.table.between(self.guarding.since or dt.date.min, dt.date.fromordinal(end))
        counts = Counts(*(column.astype(np.float64) for column in known.counts))
        keys = [variant.key for variant in self.variants]
        watched = Watched(counts, keys, [variant.is_active for variant in self.variants], control)
        return find_harms(self.guarding, watched, self.settings)

    def to_request(self) -> Request:
        """The engine's request: arrays by position of the variant."""
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
        )

    def _history(self) -> History:
        counts = Counts(*(column.astype(np.float64) for column in self.table.counts))
        return History(
            days=self.table.days,
            impressions=counts.impressions,
            trials=self.reward.trials(counts),
            successes=self.reward.successes(counts),
            earlier_impressions=float(self.earlier_impressions),
        )


def _recorded_table(recorded: Any, variants: Sequence[InputVariant]) -> DailyTable:
    """Columns; rows where the first engine recorded them."""
    if isinstance(recorded, dict):
        return DailyTable.from_json(recorded, len(variants))
    rows = ((dt.date.fromisoformat(date), *row) for date, *row in recorded)
    return DailyTable.of_rows(rows, {variant.id: n for n, variant in enumerate(variants)})


def digest(inputs: Mapping[str, Any]) -> str:
    """SHA-256 of recorded inputs in one canonical form."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def effective_settings(
    experiment: Experiment, overrides: Mapping[str, SettingValue] | None = None
) -> Settings:
    """The settings in force as the engine takes them; raises InvalidError where they clash."""
    values: dict[str, Any] = {**experiment.settings_in_force(), **(overrides or {})}
    return Settings(**values)


def load_inputs(
    experiments: Sequence[Experiment], settings: Mapping[int, Settings], target_date: dt.date
) -> list[AllocationInputs]:
    """The inputs of many experiments: one query for counts and one for the decisions before, however many they are.

    ``experiments`` come from ``selectors.experiments_for_allocation(target_date)``.
    """
    rules = _guard_rules(experiments)
    rows = _counts(experiments, settings, rules)
    before = _decisions_before(experiments, target_date)
    return [
        _inputs(
            experiment,
            rows[experiment.pk],
            before.get(experiment.pk),
            settings[experiment.pk],
            target_date,
            rules.get(experiment.pk, ()),
        )
        for experiment in experiments
    ]


def _guard_rules(experiments: Sequence[Experiment]) -> dict[int, tuple[GuardRule, ...]]:
    """The guards of each running experiment that has any; one query, if one has."""
    guarded = [e.pk for e in experiments if getattr(e, "has_guards", True) and e.status != Status.COMPLETED]
    rules: defaultdict[int, list[GuardRule]] = defaultdict(list)
    for guard in Guard.objects.filter(experiment__in=guarded).order_by("id") if guarded else ():
        rules[guard.experiment_id].append(GuardRule.of(guard))
    return {pk: tuple(found) for pk, found in rules.items()}


class _Before(NamedTuple):
    """The decision in force the day before: its shares by variant id, and the gains it recorded.

    ``stopped_on``: its target date, where a guard stopped it.
    """

    shares: dict[int, float]
    gains: GainsSoFar | None
    stopped_on: dt.date | None


def _inputs(
    experiment: Experiment,
    rows: list[MetricRow],
    before: _Before | None,
    settings: Settings,
    target_date: dt.date,
    rules: tuple[GuardRule, ...],
) -> AllocationInputs:
    completed = experiment.status == Status.COMPLETED
    variants = tuple(_input_variant(variant) for variant in experiment.variants.all())
    table = DailyTable.of_rows(rows, {variant.id: n for n, variant in enumerate(variants)})
    summary = experiment.data_summary
    return AllocationInputs(
        experiment_id=experiment.pk,
        target_date=target_date,
        reward=Reward(experiment.reward),
        completed=completed,
        winner=experiment.winner_id if completed else None,
        variants=variants,
        table=table,
        earlier_impressions=summary.total_impressions - int(table.counts.impressions.sum()),
        days_with_data=summary.days_with_data,
        previous=None if before is None else before.shares,
        settings=settings,
        mismatch=bool(getattr(experiment, "has_mismatch", False)),
        gains=None if before is None else before.gains,
        guarding=None if completed else _guarding(experiment, rules, before),
        fallback=completed and experiment.has_ended and experiment.on_end != End.PAUSE,
    )


def _guarding(
    experiment: Experiment, rules: tuple[GuardRule, ...], before: _Before | None
) -> Guarding | None:
    """None where nothing is guarded and nothing was stopped: it then leaves no trace in the inputs."""
    since = experiment.guards_since
    stopped_on = None if before is None else before.stopped_on
    stopped = stopped_on is not None and (since is None or stopped_on >= since)
    return Guarding(rules, since, stopped) if rules or stopped else None


def _input_variant(variant: Variant) -> InputVariant:
    days = int(getattr(variant, "days_with_data", 0))
    return InputVariant(variant.pk, variant.key, variant.name, variant.is_control, variant.is_active, days)


def _counts(
    experiments: Sequence[Experiment],
    settings: Mapping[int, Settings],
    rules: Mapping[int, tuple[GuardRule, ...]],
) -> dict[int, list[MetricRow]]:
    """Rows from the first day of each experiment's window, or for its guards, to its latest day, by experiment id."""
    spans: defaultdict[tuple[dt.date, dt.date], list[int]] = defaultdict(list)
    for experiment in experiments:
        latest = experiment.data_summary.latest_date
        if latest is not None:
            chosen = settings[experiment.pk]
            first = latest - dt.timedelta(days=chosen.maturity_days + chosen.longest_window - 1)
            if experiment.pk in rules:
                first = min(first, experiment.guards_since or dt.date.min)
            spans[first, latest].append(experiment.pk)
    rows: dict[int, list[MetricRow]] = {experiment.pk: [] for experiment in experiments}
    if spans:
        metrics = DailyMetric.objects.in_windows([(ids, *span) for span, ids in spans.items()])
        fields = ("variant__experiment_id", "date", "variant_id", *COUNT_NAMES)
        for experiment_id, *row in metrics.order_by("date", "variant_id").values_list(*fields):
            rows[experiment_id].append(tuple(row))
    return rows


def recorded_gains(experiment_id: int, date: dt.date) -> list[GainsSoFar]:
    """The gains as the last decision for each target date up to ``date`` recorded them, oldest first; one query."""
    rows = Allocation.objects.filter(
        experiment=experiment_id, target_date__lte=date, data_through__isnull=False,
        gained_over_even__isnull=False,
    ).last_revisions()  # fmt: skip
    in_order = rows.order_by("target_date").values_list("data_through", *Rewards._fields)
    last_of_day = {through: Rewards(*sums) for through, *sums in in_order}
    return [GainsSoFar(through, sums) for through, sums in sorted(last_of_day.items())]


def _decisions_before(experiments: Sequence[Experiment], target_date: dt.date) -> dict[int, _Before]:
    """The last decision for an earlier target date of each experiment; one query."""
    ids = [experiment.pk for experiment in experiments]
    last = Allocation.objects.newest_of(ids, target_date - dt.timedelta(days=1)).values("pk")
    before: dict[int, _Before] = {}
    rows = AllocationShare.objects.filter(allocation__in=last).order_by("variant_id").values_list(
        "allocation__experiment_id", "variant_id", "share", "allocation__data_through", "allocation__kind",
        "allocation__target_date", *(f"allocation__{name}" for name in Rewards._fields),
    )  # fmt: skip
    for experiment_id, variant_id, share, through, kind, date, *sums in rows:
        if experiment_id not in before:
            known = through is not None and sums[0] is not None
            gains = GainsSoFar(through, Rewards(*sums)) if known else None
            before[experiment_id] = _Before({}, gains, date if kind == Kind.GUARD else None)
        before[experiment_id].shares[variant_id] = float(share)
    return before
