"""The inputs of an allocation: loaded once, computed from, recorded with the decision, verified later.

``AllocationInputs`` is plain data. Its JSON is in the decision log, so that every decision can be computed again from
the log alone. Counts are columns: the dates once, and for each count an array for each variant. Where the goal is a
value, the sums of values and of their squares are columns beside them.
"""

import datetime as dt
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
from django.db.models import Case, F, OuterRef, Q, Subquery, When
from numpy.typing import NDArray

from allocation.engine import ENGINE_VERSION, FIRST_ENGINE, FIRST_RULES, RULES, History, Request, Settings
from allocation.engine.analysis.gains import Rewards
from allocation.engine.evidence.window import Window
from allocation.engine.settings import recorded_settings
from allocation.ledger.guards import Guarding, GuardRule, Harm, Watched, find_harms
from allocation.models import CLOSING, Allocation, AllocationShare, Kind
from experiments.campaign import End, Guard
from experiments.metrics import COUNT_NAMES, MEASURE_NAMES, VALUE_NAMES, Counts, Measures, Reward
from experiments.models import DailyMetric, Experiment, Status, Variant
from experiments.settings_schema import SettingValue

# Completed before completing priced anything: a gain of 0 is none.
NOT_PRICED = Q(kind=Kind.COMPLETED, gained_over_even=0, given_up=0, gain_error=0)
# A date, a variant's id and its counts, in the order of COUNT_NAMES; with values, in that of MEASURE_NAMES.
MetricRow = tuple[Any, ...]


class Values(NamedTuple):
    """Sums of values and of their squares, (D, K); the names are those of VALUE_NAMES."""

    value_sum: NDArray[np.float64]
    value_squares: NDArray[np.float64]


class DailyTable(NamedTuple):
    """Daily counts in columns: ``days`` (D,) day numbers, rising; each count (D, K), 0 where a variant has no row.

    ``values``: where they were read, for a goal of value.
    """

    days: NDArray[np.int64]
    counts: Counts[NDArray[np.int64]]
    values: Values | None = None

    @property
    def measures(self) -> Measures[NDArray[np.float64]]:
        """Every column as numbers that the engine takes; values of 0 where none were read."""
        counts = [column.astype(np.float64) for column in self.counts]
        return Measures(*counts, *(self.values or [np.zeros_like(counts[0])] * len(VALUE_NAMES)))

    @property
    def dates(self) -> list[dt.date]:
        return [dt.date.fromordinal(day) for day in self.days.tolist()]

    def between(self, start: dt.date, end: dt.date) -> "DailyTable":
        """The days from ``start`` to ``end``, both inside."""
        inside = (self.days >= start.toordinal()) & (self.days <= end.toordinal())
        values = None if self.values is None else Values(*(column[inside] for column in self.values))
        return DailyTable(self.days[inside], Counts(*(column[inside] for column in self.counts)), values)

    def to_json(self) -> dict[str, Any]:
        first = int(self.days[0]) if self.days.size else None
        return {
            "first_date": None if first is None else dt.date.fromordinal(first).isoformat(),
            "days": [] if first is None else (self.days - first).tolist(),
            **{name: column.T.tolist() for name, column in zip(COUNT_NAMES, self.counts, strict=True)},
            **(
                {name: column.T.tolist() for name, column in self.values._asdict().items()}
                if self.values
                else {}
            ),
        }

    @classmethod
    def from_json(cls, recorded: Mapping[str, Any], variants: int) -> "DailyTable":
        first = recorded["first_date"]
        start = 0 if first is None else dt.date.fromisoformat(first).toordinal()
        days = np.array(recorded["days"], dtype=np.int64) + start
        shape = (variants, len(days))
        columns = (np.array(recorded[name], dtype=np.int64).reshape(shape).T for name in COUNT_NAMES)
        values = (np.array(recorded.get(name, []), dtype=np.float64) for name in VALUE_NAMES)
        has_values = VALUE_NAMES[0] in recorded
        return cls(
            days, Counts(*columns), Values(*(v.reshape(shape).T for v in values)) if has_values else None
        )

    @classmethod
    def of_rows(
        cls, rows: Iterable[MetricRow], place: Mapping[int, int], *, with_values: bool = False
    ) -> "DailyTable":
        """From rows in any order. ``place``: the column of each variant id; rows of other variants are left out."""
        known, width = [row for row in rows if row[1] in place], len(COUNT_NAMES)
        plain = [(row[0].toordinal(), place[row[1]], *row[2 : 2 + width]) for row in known]
        table = np.array(plain, dtype=np.int64).reshape(len(known), 2 + width)
        days, index = np.unique(table[:, 0], return_inverse=True)
        at, shape = (index, table[:, 1]), (len(days), len(place))
        counts = Counts(*(_column(shape, at, table[:, 2 + n]) for n in range(width)))
        if not with_values:
            return cls(days, counts)
        # the nearest float to each exact sum: the engine takes no other
        amounts = np.array([[float(v) for v in row[2 + width :]] for row in known], dtype=np.float64)
        amounts = amounts.reshape(len(known), len(VALUE_NAMES))
        return cls(
            days, counts, Values(*(_column(shape, at, amounts[:, n]) for n in range(len(VALUE_NAMES))))
        )


Number = TypeVar("Number", np.int64, np.float64)


def _column(shape: tuple[int, int], at: tuple[Any, Any], numbers: NDArray[Number]) -> NDArray[Number]:
    column = np.zeros(shape, dtype=numbers.dtype)
    column[at] = numbers
    return column


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
        for place, day in enumerate(window.days.tolist()):
            known = (self.open_days or {}).get(dt.date.fromordinal(day))
            if known is not None:
                trials[place] = known
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

    def harms(self, end: int | None) -> tuple[Harm, ...]:
        """Find the harms on the days up to ``end``, the last that counts; none without a control."""
        control = next((n for n, variant in enumerate(self.variants) if variant.is_control), None)
        if self.guarding is None or control is None or end is None:
            return ()
        known = self.table.between(self.guarding.since or dt.date.min, dt.date.fromordinal(end))
        keys, active = zip(*((variant.key, variant.is_active) for variant in self.variants), strict=True)
        return find_harms(self.guarding, Watched(known.measures, keys, active, control), self.settings)

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
    experiments: Sequence[Experiment],
    settings: Mapping[int, Settings],
    target_date: dt.date,
    *,
    with_values: bool = False,
) -> list[AllocationInputs]:
    """The inputs of many experiments: one query for counts and one for the decisions before, however many they are.

    ``with_values``: their values too, where neither the goal nor a guard needs them. ``experiments`` come from
    ``selectors.experiments_for_allocation(target_date)``.
    """
    guards = _guard_rules(experiments)
    by_value = {
        e.pk: with_values or _takes_values(Reward(e.reward), guards.get(e.pk, ())) for e in experiments
    }
    rows = _counts(experiments, settings, guards, with_values=any(by_value.values()))
    before = _decisions_before(experiments, target_date)
    return [
        _inputs(
            experiment,
            rows[experiment.pk],
            before.get(experiment.pk),
            settings[experiment.pk],
            target_date,
            guards.get(experiment.pk, ()),
            with_values=by_value[experiment.pk],
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
    """The decision in force the day before: its shares by variant id, the gains it recorded, if any, and its inputs."""

    shares: dict[int, float]
    rewards: Rewards | None
    kind: str
    target_date: dt.date
    recorded_inputs: Mapping[str, Any]


def _inputs(
    experiment: Experiment,
    rows: list[MetricRow],
    before: _Before | None,
    settings: Settings,
    target_date: dt.date,
    guards: tuple[GuardRule, ...],
    *,
    with_values: bool,
) -> AllocationInputs:
    completed = experiment.status == Status.COMPLETED
    variants = tuple(_input_variant(variant) for variant in experiment.variants.all())
    reward, place = Reward(experiment.reward), {variant.id: n for n, variant in enumerate(variants)}
    table = DailyTable.of_rows(rows, place, with_values=with_values)
    summary = experiment.data_summary
    inputs = AllocationInputs(
        experiment_id=experiment.pk,
        target_date=target_date,
        reward=reward,
        completed=completed,
        winner=experiment.winner_id if completed else None,
        variants=variants,
        table=table,
        earlier_impressions=summary.total_impressions - int(table.counts.impressions.sum()),
        days_with_data=summary.days_with_data,
        previous=None if before is None else before.shares,
        settings=settings,
        mismatch=bool(getattr(experiment, "has_mismatch", False)),
        guarding=None if completed else _guarding(experiment, guards, before),
        fallback=completed and experiment.has_ended and experiment.on_end != End.PAUSE,
    )
    return replace(inputs, gains=_gains_so_far(inputs, before))


def _takes_values(reward: Reward, guards: Iterable[GuardRule]) -> bool:
    return reward.is_value or any(guard.metric.is_value for guard in guards)


def _guarding(
    experiment: Experiment, guards: tuple[GuardRule, ...], before: _Before | None
) -> Guarding | None:
    """None where nothing is guarded and nothing was stopped: it then leaves no trace in the inputs."""
    since = experiment.guards_since
    stopped = (
        before is not None and before.kind == Kind.GUARD and before.target_date >= (since or dt.date.min)
    )
    return Guarding(guards, since, stopped) if guards or stopped else None


def _gains_so_far(inputs: AllocationInputs, before: _Before | None) -> GainsSoFar | None:
    """Return what the decision before recorded, and which days it did not know as they are now."""
    if before is None or before.rewards is None:
        return None
    if before.kind in CLOSING:
        return GainsSoFar(before.rewards, {})
    earlier = AllocationInputs.from_json(before.recorded_inputs, inputs.experiment_id)
    known = replace(earlier, reward=inputs.reward).to_request().window()
    window = inputs.to_request().window()
    place = {variant.id: n for n, variant in enumerate(earlier.variants)}
    columns = [place.get(variant.id, -1) for variant in inputs.variants]
    # one more column of zeros, for variants that are new
    trials = np.pad(known.trials, ((0, 0), (0, 1)))[:, columns].astype(np.int64)
    priced = dict(zip(known.days.tolist(), map(tuple, trials.tolist()), strict=True))
    nothing = (0,) * len(columns)
    return GainsSoFar(
        before.rewards,
        {
            dt.date.fromordinal(day): priced.get(day, nothing)
            for day, now in zip(window.days.tolist(), window.trials.astype(np.int64).tolist(), strict=True)
            if (known.start is None or day >= known.start) and priced.get(day, nothing) != tuple(now)
        },
    )


def _input_variant(variant: Variant) -> InputVariant:
    days = int(getattr(variant, "days_with_data", 0))
    return InputVariant(variant.pk, variant.key, variant.name, variant.is_control, variant.is_active, days)


def _counts(
    experiments: Sequence[Experiment],
    settings: Mapping[int, Settings],
    guards: Mapping[int, tuple[GuardRule, ...]],
    *,
    with_values: bool,
) -> dict[int, list[MetricRow]]:
    """Rows from the first day of each experiment's window, or for its guards, to its latest day, by experiment id."""
    spans: defaultdict[tuple[dt.date, dt.date], list[int]] = defaultdict(list)
    for experiment in experiments:
        latest = experiment.data_summary.latest_date
        if latest is not None:
            chosen = settings[experiment.pk]
            first = latest - dt.timedelta(days=chosen.maturity_days + chosen.longest_window - 1)
            if experiment.pk in guards:
                first = min(first, experiment.guards_since or dt.date.min)
            spans[first, latest].append(experiment.pk)
    rows: dict[int, list[MetricRow]] = {experiment.pk: [] for experiment in experiments}
    if spans:
        metrics = DailyMetric.objects.in_windows([(ids, *span) for span, ids in spans.items()])
        fields = (
            "variant__experiment_id",
            "date",
            "variant_id",
            *(MEASURE_NAMES if with_values else COUNT_NAMES),
        )
        for experiment_id, *row in metrics.order_by("date", "variant_id").values_list(*fields):
            rows[experiment_id].append(tuple(row))
    return rows


class RecordedGains(NamedTuple):
    """The gains up to a day, as a decision recorded them, and the change of rates that it told of."""

    through: dt.date
    rewards: Rewards
    rates_changed_on: dt.date | None


def recorded_gains(experiment_id: int, date: dt.date) -> list[RecordedGains]:
    """The gains as the last decision for each target date up to ``date`` recorded them, oldest first; one query."""
    rows = Allocation.objects.filter(
        experiment=experiment_id, target_date__lte=date, data_through__isnull=False,
        gained_over_even__isnull=False,
    ).exclude(NOT_PRICED).last_revisions()  # fmt: skip
    in_order = rows.order_by("target_date").values_list("data_through", "rates_changed_on", *Rewards._fields)
    last_of_day = {through: (Rewards(*sums), changed) for through, changed, *sums in in_order}
    return [RecordedGains(through, *found) for through, found in sorted(last_of_day.items())]


def _decisions_before(experiments: Sequence[Experiment], target_date: dt.date) -> dict[int, _Before]:
    """The last decision for an earlier target date of each experiment; one query."""
    ids = [experiment.pk for experiment in experiments]
    last = Allocation.objects.newest_of(ids, target_date - dt.timedelta(days=1)).values("pk")
    before: dict[int, _Before] = {}
    # the inputs are large: they come with the first share alone
    first = AllocationShare.objects.filter(allocation=OuterRef("allocation")).order_by("variant_id")
    inputs = Case(When(pk=Subquery(first.values("pk")[:1]), then=F("allocation__packed_inputs")))
    rows = AllocationShare.objects.filter(allocation__in=last).order_by("variant_id").values_list(
        "allocation__experiment_id", "variant_id", "share", "allocation__kind",
        "allocation__target_date", inputs, *(f"allocation__{name}" for name in Rewards._fields),
    )  # fmt: skip
    for experiment_id, variant_id, share, kind, date, recorded, *sums in rows:
        if experiment_id not in before:
            rewards = None if recorded is None or None in sums else Rewards(*sums)
            before[experiment_id] = _Before({}, rewards, kind, date, recorded or {})
        before[experiment_id].shares[variant_id] = float(share)
    return before
