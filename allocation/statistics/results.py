"""Results of an experiment, as a page needs them: ranks, the cost of waiting, which days there are."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.settings import recorded_settings
from allocation.engine.state import EXCLUDED_BELOW, LEADER_PROBABILITY
from allocation.explanations import is_level
from allocation.ledger.guards import Harm
from allocation.ledger.inputs import AllocationInputs
from allocation.ledger.table import DailyTable
from allocation.models import Allocation, AllocationShare, Kind
from allocation.statistics.experiment import Analysis, VariantStatistics, analyse
from allocation.unjudged import rivals_in
from experiments.metrics import Reward
from experiments.models import Experiment, Status
from experiments.settings_schema import SettingValue

# The latest days with data, from which a week of traffic and a forecast are estimated.
_RECENT_DAYS = 14
_WEEK = 7
# Days that count less than this make "all data" another span than the evidence.
_COUNTS_FULLY = 0.9
# Those whose data and settings may be newer than their allocation.
_OPEN = frozenset({Status.ACTIVE, Status.PAUSED})
# Every day since the start, each as much as any other.
ALL_DAYS: dict[str, SettingValue] = {"window_days": 365, "memory": False}


@dataclass(frozen=True)
class RankedVariant:
    """A variant with its place by probability to be best; ``rank`` is None where it is not judged or not active.

    ``share`` is its part of traffic now.
    """

    rank: int | None
    statistics: VariantStatistics
    share: AllocationShare | None


@dataclass(frozen=True)
class DataDays:
    """Days with data. ``missing``: days without, between the first and the last."""

    first: dt.date | None
    last: dt.date | None
    count: int
    impressions: int
    missing: list[dt.date]
    per_day: float


@dataclass(frozen=True)
class Results:
    """Everything that the page of results shows, of one span and one moment.

    ``waiting_cost``: successes or value that a week more of this traffic costs against the leader; None without one.
    ``settings_changed``: settings or variants are others than the allocation in force knew. ``newer_data``: days are
    reported that it does not know. ``spans_differ``: some days count less than others, or not at all.
    """

    analysis: Analysis
    allocation: Allocation | None
    ranked: list[RankedVariant]
    waiting_cost: float | None
    days: DataDays
    harms: Sequence[Harm]
    settings_changed: bool
    newer_data: bool
    spans_differ: bool

    @property
    def leader(self) -> RankedVariant | None:
        """The variant of the first rank."""
        return next((row for row in self.ranked if row.rank == 1), None)

    @property
    def is_mismatched(self) -> bool:
        """True while traffic does not arrive as split, and until a decision clears the alarm that says so."""
        ratio = self.analysis.statistics.sample_ratio
        return self.analysis.inputs.mismatch or (ratio is not None and ratio.mismatch)

    @property
    def counts_from(self) -> dt.date | None:
        """The first day that the numbers of variants rest on: that of the window, or of the data if that is later."""
        start = self.analysis.decision.window.start
        if self.days.first is None or start is None:
            return self.days.first
        return max(self.days.first, dt.date.fromordinal(start))

    @property
    def has_successes(self) -> bool:
        """False where every rate is 0 so far."""
        return any(one.successes for one in self.analysis.statistics.variants)

    @property
    def is_compared(self) -> bool:
        """False with a single active variant, and before there is a success: nothing is better or worse then."""
        return self.has_successes and sum(one.is_active for one in self.analysis.statistics.variants) > 1

    @property
    def is_doubtful(self) -> bool:
        """True where something speaks against calling any variant the best."""
        stopped = self.allocation is not None and self.allocation.kind == Kind.GUARD
        return not self.is_compared or self.is_mismatched or bool(self.harms) or stopped

    @property
    def is_certain(self) -> bool:
        """True where the variant of the first rank is the best with 95% probability."""
        return self.leader is not None and self.leader.statistics.probability_best >= LEADER_PROBABILITY

    @property
    def is_level(self) -> bool:
        """True where the chances to be best do not tell the variants apart."""
        active = sum(one.is_active for one in self.analysis.statistics.variants)
        chance = self.leader.statistics.probability_best if self.leader else 0.0
        return active > 1 and is_level(chance, active, len(self.low_variants))

    @property
    def level(self) -> list[RankedVariant]:
        """The variant of the first rank, and those whose chance to be best is written as its."""
        if self.leader is None:
            return []
        top = round(self.leader.statistics.probability_best, 3)
        return [row for row in self.ranked if row.rank and round(row.statistics.probability_best, 3) == top]

    @property
    def is_tied(self) -> bool:
        """True where another variant is, as it is written, as likely to be the best as that of the first rank."""
        return self.is_level or len(self.level) > 1

    @property
    def rivals(self) -> list[str]:
        """The names of variants without enough data that are likelier to be the best than that of the first rank."""
        return rivals_in(self.analysis.decision, [one.name for one in self.analysis.inputs.variants])

    @property
    def control(self) -> VariantStatistics | None:
        return next((row.statistics for row in self.ranked if row.statistics.is_control), None)

    @property
    def missing_impressions(self) -> int:
        """Impressions that the warm-up still waits for."""
        needed = self.analysis.inputs.settings.min_impressions
        return max(needed - self.days.impressions, 0)

    @property
    def warm_up_days(self) -> int | None:
        """Days that the warm-up still takes at the pace so far; None before there is one."""
        return int(np.ceil(self.missing_impressions / self.days.per_day)) if self.days.per_day else None

    @property
    def low_variants(self) -> list[VariantStatistics]:
        """Active variants that do not have enough data."""
        return [s for row in self.ranked if (s := row.statistics).is_active and not s.enough_data]


def results_of(
    experiment: Experiment, date: dt.date, allocation: Allocation | None, *, all_days_alike: bool = False
) -> Results:
    """Collect the results of an experiment read by ``experiments_for_allocation(date)``.

    ``allocation``: the one in force, by ``allocation_with_inputs``. Raises NoActiveVariantError and InvalidError.
    """
    analysis = analyse(experiment, date, ALL_DAYS if all_days_alike else None, always_valid=False)
    days = _days(analysis)
    shares = {share.variant_id: share for share in allocation.shares.all()} if allocation else {}
    ranked = _ranked(analysis, shares)
    return Results(
        analysis=analysis,
        allocation=allocation,
        ranked=ranked,
        waiting_cost=_waiting_cost(analysis, ranked),
        days=days,
        harms=analysis.harms,
        settings_changed=_settings_changed(experiment, analysis, allocation, all_days_alike),
        newer_data=_has_newer_data(experiment, analysis, allocation, all_days_alike),
        spans_differ=all_days_alike or _spans_differ(analysis),
    )


def _ranked(analysis: Analysis, shares: dict[int, AllocationShare]) -> list[RankedVariant]:
    """The judged first, by rank; then those without enough data, then inactive."""
    variants = zip(analysis.inputs.variants, analysis.statistics.variants, strict=True)
    pairs = [(s, shares.get(v.id)) for v, s in variants]
    judged = [pair for pair in pairs if pair[0].is_active and pair[0].enough_data]
    judged.sort(key=lambda pair: by_rank(pair[0]))
    low = [pair for pair in pairs if pair[0].is_active and not pair[0].enough_data]
    inactive = [pair for pair in pairs if not pair[0].is_active]
    places = [*range(1, len(judged) + 1), *[None] * (len(low) + len(inactive))]
    return [RankedVariant(n, *pair) for n, pair in zip(places, [*judged, *low, *inactive], strict=True)]


def by_rank(found: VariantStatistics) -> tuple[float, float]:
    """Sort by probability to be best, and by rate where that is too small to tell them apart."""
    chance = found.probability_best
    return (-chance if chance >= EXCLUDED_BELOW else 0.0), -found.rate


def _days(analysis: Analysis) -> DataDays:
    impressions = analysis.history.counts.impressions.sum(axis=1)
    seen = analysis.history.days[impressions > 0]
    if not seen.size:
        return DataDays(None, None, 0, 0, [], 0.0)
    present = set(seen.tolist())
    missing = [day for day in range(int(seen[0]), int(seen[-1])) if day not in present]
    recent = impressions[impressions > 0][-_RECENT_DAYS:]
    return DataDays(
        first=dt.date.fromordinal(int(seen[0])),
        last=dt.date.fromordinal(int(seen[-1])),
        count=len(seen),
        impressions=int(impressions.sum()),
        missing=[dt.date.fromordinal(day) for day in missing],
        per_day=float(recent.mean()),
    )


def _waiting_cost(analysis: Analysis, ranked: Sequence[RankedVariant]) -> float | None:
    """Price the traffic that a week at this split takes from the leader, by the rates of this span.

    None where a variant has traffic whose rate nobody knows yet: what it costs is unknown, and not 0.
    """
    leader = next((row for row in ranked if row.rank == 1), None)
    served = [
        (row.statistics, share) for row, share in zip(ranked, _shares_now(ranked), strict=True) if share
    ]
    if leader is None or not all(found.enough_data for found, _share in served):
        return None
    behind = sum(share * max(leader.statistics.rate - found.rate, 0.0) for found, share in served)
    trials = Reward(analysis.inputs.reward).trials(analysis.history.measures).sum(axis=1)
    recent = trials[trials > 0][-_RECENT_DAYS:]
    return _WEEK * float(recent.mean()) * behind if recent.size else None


def _shares_now(ranked: Sequence[RankedVariant]) -> list[float]:
    """Return the part of the traffic that each variant gets now: by the allocation, an even one before the first.

    A variant that is newer than the allocation gets nothing until the next.
    """
    if any(row.share is not None for row in ranked):
        return [float(row.share.share) if row.share is not None else 0.0 for row in ranked]
    active = sum(row.statistics.is_active for row in ranked)
    return [1 / active if row.statistics.is_active else 0.0 for row in ranked]


def _settings_changed(
    experiment: Experiment, analysis: Analysis, allocation: Allocation | None, overridden: bool
) -> bool:
    """Compare the settings and the active variants with those that the allocation in force recorded."""
    if experiment.status not in _OPEN or allocation is None or overridden:
        return False
    recorded = allocation.recorded_inputs
    known = {(v["id"], v["is_control"], v["is_active"]) for v in recorded["variants"]}
    now = {(v.id, v.is_control, v.is_active) for v in analysis.inputs.variants}
    settings = recorded_settings(recorded["settings"], recorded["engine_version"])
    return known != now or settings != analysis.inputs.settings


def _has_newer_data(
    experiment: Experiment, analysis: Analysis, allocation: Allocation | None, overridden: bool
) -> bool:
    """Compare the days that count with those that the allocation in force recorded."""
    through = analysis.statistics.as_of.data_through
    if experiment.status not in _OPEN or allocation is None or through is None:
        return False
    if allocation.data_through is None or through > allocation.data_through:
        return True
    recorded = AllocationInputs.from_json(allocation.recorded_inputs, experiment.pk)
    if overridden:
        return False
    ids = ([variant.id for variant in inputs.variants] for inputs in (analysis.inputs, recorded))
    same_variants = next(ids) == next(ids)
    return _days_differ(analysis.inputs.table, recorded.table, through, same_variants)


def _days_differ(now: DailyTable, known: DailyTable, through: dt.date, same_variants: bool) -> bool:
    """True where a day was added or corrected; what has left the window since is no difference.

    Of other variants than before the sums of each day are compared.
    """
    now = now.between(dt.date.min, through)
    if not now.days.size:
        return False
    known = known.between(now.dates[0], through)
    if not np.array_equal(now.days, known.days):
        return True
    has_values = now.values is not None and known.values is not None
    seen, recorded = (_numbers(table, with_values=has_values) for table in (now, known))
    if not same_variants:
        seen, recorded = seen.sum(axis=2), recorded.sum(axis=2)
    return not np.allclose(seen, recorded, rtol=1e-12, atol=0)


def _numbers(table: DailyTable, *, with_values: bool) -> NDArray[np.float64]:
    """Stack every count and, where both sides have them, values: by measure, day and variant."""
    return np.array([*table.counts, *(table.values or () if with_values else ())], dtype=np.float64)


def _spans_differ(analysis: Analysis) -> bool:
    weights = analysis.decision.day_weights
    return bool(analysis.inputs.earlier_impressions or (weights < _COUNTS_FULLY).any())


class RunningDay(NamedTuple):
    """The shares that were in force on a day, by variant id."""

    date: dt.date
    shares: dict[int, float]


def daily_shares(analysis: Analysis) -> list[RunningDay]:
    """The last decision for each target date, oldest first."""
    last = {split.target_date: split.shares for split in analysis.splits}
    return [RunningDay(date, shares) for date, shares in sorted(last.items())]
