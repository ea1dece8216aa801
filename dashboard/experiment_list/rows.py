"""Rows of the list: each experiment's result, allocation and gain, as its decisions stored them."""

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from django.db.models import OuterRef, Prefetch, Subquery, Sum

from allocation.engine.state import LEADER_PROBABILITY
from allocation.ledger.newest import decisions_of
from allocation.models import CLOSING, Allocation, AllocationShare, Kind
from allocation.statistics.stored import Lift, control_beside, stored_lifts
from allocation.unjudged import rivals_of
from dashboard.charts import SplitPart
from dashboard.experiment.summary import Summary, summary_of
from dashboard.experiment_list.stages import Flag, Listed, Stage
from experiments.models import DailyMetric, Experiment, Status, Variant

# The latest days with data, from which a forecast is made.
_RECENT_DAYS = 14
# Shares have four places: what differs by less than their rounding is even.
_EVEN = Decimal("0.0002")
_JUDGED = frozenset({Stage.LEARNING, Stage.LEADER, Stage.READY, Stage.PAUSED, Stage.ENDED, Stage.ARCHIVED})


def _chance(share: AllocationShare) -> float:
    return share.probability_best or 0.0


@dataclass(frozen=True)
class WarmUp:
    """Impressions so far, those that traffic waits for, and in how many days they come at the latest pace."""

    impressions: int
    needed: int
    days: int | None


@dataclass(frozen=True)
class Row:
    """One experiment of the list. ``first``, ``latest``: the days with data. ``ahead``: whose lift is shown; None
    before there is a result, while variants are level, and while one with too little data is likelier to be the best.
    ``was_warned``: a guard warned of a variant when it ended, or had stopped it.
    """

    listed: Listed
    summary: Summary
    first: dt.date | None
    latest: dt.date | None
    lift: Lift | None
    warm_up: WarmUp | None
    was_warned: bool = False

    @property
    def experiment(self) -> Experiment:
        return self.summary.experiment

    @property
    def stage(self) -> Stage:
        return self.listed.stage

    @property
    def flags(self) -> tuple[Flag, ...]:
        return self.listed.flags

    @cached_property
    def ahead(self) -> AllocationShare | None:
        """Name nobody whom only the order of the rows puts first, nor whom one with too little data may well beat."""
        is_open = self.is_tied or (self.rivals and self.experiment.status != Status.COMPLETED)
        return self.summary.leader if self.has_result and not is_open else None

    @cached_property
    def rivals(self) -> list[AllocationShare]:
        """Those with too little data that are likelier to be the best than the first of the others: its page says so.

        That is the leader while nothing has ended; then the winner may be another.
        """
        return rivals_of(self._compared) if self.has_result else []

    @property
    def _compared(self) -> list[AllocationShare]:
        """The variants that the allocation in force compares."""
        shares = self.summary.allocation.shares.all() if self.summary.allocation else ()
        return [share for share in shares if share.probability_best is not None]

    @cached_property
    def has_result(self) -> bool:
        """False before a variant is judged, while traffic does not arrive as split, and where a guard has stopped it;
        what has ended has a winner.
        """
        if self.experiment.status == Status.COMPLETED:
            return self.summary.leader is not None
        is_distrusted = self.is_stopped or bool({Flag.MISMATCH, Flag.ALONE} & set(self.flags))
        return self.stage in _JUDGED and self.has_successes and not is_distrusted

    @property
    def is_stopped(self) -> bool:
        """True while the allocation in force is that of a guard, also of an experiment that is paused since."""
        return self.summary.allocation is not None and self.summary.allocation.kind == Kind.GUARD

    @cached_property
    def is_chosen(self) -> bool:
        """True of an ended experiment of whose winner nothing is claimed: compared with none, with too little data,
        without a success, by traffic that did not arrive as split, or while a guard warned.
        """
        ahead = self.ahead
        if ahead is None or self.experiment.status != Status.COMPLETED:
            return False
        is_judged = ahead.probability_best is not None and not ahead.missing_trials
        is_doubtful = self.was_warned or Flag.MISMATCH in self.flags or bool(self.rivals)
        return not (is_judged and self.has_successes) or self.summary.is_alone or is_doubtful

    @property
    def shown_lift(self) -> Lift | None:
        """The lift of who is ahead; None where it would be made of the prior alone, and where nothing is claimed."""
        return self.lift if self.ahead and not (self.is_chosen or self.is_control_bare) else None

    @cached_property
    def has_successes(self) -> bool:
        """False while every rate is 0: the first of them is no better than the others."""
        leader = self.summary.leader
        return leader is not None and leader.successes > 0

    @cached_property
    def level(self) -> list[AllocationShare]:
        """Those judged whose chance to be the best is written as the leader's. An ended experiment has its winner."""
        leader = self.summary.leader
        if leader is None or not self.has_result or self.experiment.status == Status.COMPLETED:
            return []
        judged = [one for one in self._compared if not one.missing_trials]
        return [one for one in judged if round(_chance(one), 3) == round(_chance(leader), 3)]

    @property
    def is_tied(self) -> bool:
        """True where the result does not tell the leader from another variant."""
        return len(self.level) > 1

    @property
    def is_level(self) -> bool:
        """True where the result does not tell any of the variants apart."""
        return self.is_tied and len(self.level) == len(self._compared)

    @property
    def is_control_bare(self) -> bool:
        """True while the control has no success: a lift over it is made of the prior alone."""
        decision = self.summary.allocation
        shares = decision.shares.all() if decision else ()
        return self.has_successes and any(
            one.variant.is_control and one.rate is not None and not one.successes for one in shares
        )

    @property
    def is_certain(self) -> bool:
        """True where who is ahead is the best with 95% probability."""
        return self.ahead is not None and (self.ahead.probability_best or 0.0) >= LEADER_PROBABILITY

    @cached_property
    def waits_for(self) -> str:
        """Name what its first result waits for, while it warms up: data, the day that its data is of, impressions, the
        allocation or variants."""
        if self.warm_up is None:
            return ""
        if not self.warm_up.impressions:
            if self.latest is not None:
                return "impressions"
            return "data" if self.first is None else "day"
        if self.warm_up.impressions < self.warm_up.needed:
            return "more"
        if sum(variant.is_active for variant in self.experiment.variants.all()) < 2:
            return "variants"
        decision = self.summary.allocation
        through = decision.data_through if decision else None
        is_behind = through is None or (self.latest is not None and through < self.latest)
        return "allocation" if is_behind else "variants"

    @cached_property
    def days(self) -> int | None:
        """Days from the first with data to the last."""
        return None if self.first is None or self.latest is None else (self.latest - self.first).days + 1

    @cached_property
    def result_through(self) -> dt.date | None:
        """The last day that the result rests on, where newer data has come since."""
        decision, latest = self.summary.allocation, self.latest
        through = decision.data_through if decision and self.has_result else None
        return through if through and latest and through < latest else None

    @cached_property
    def top_part(self) -> SplitPart | None:
        """The largest share; None where the split is even among several."""
        shares = sorted(part.share for part in self.summary.split)
        if not shares or (len(shares) > 1 and shares[-1] - shares[0] <= _EVEN):
            return None
        return max(self.summary.split, key=lambda part: part.share)

    @property
    def may_be_archived(self) -> bool:
        return self.experiment.status != Status.ACTIVE or self.experiment.archived_at is not None


def rows_of(chosen: Sequence[Listed], today: dt.date) -> list[Row]:
    """Complete these entries, in their order; at most six queries, however many there are."""
    found = Experiment.objects.prefetch_related(_variants(today)).in_bulk([one.pk for one in chosen])
    # what was deleted meanwhile is left out
    chosen = [one for one in chosen if one.pk in found]
    decisions = _decisions(chosen, found, today)
    days = {pk: _days_of(experiment) for pk, experiment in found.items()}
    summaries = [
        summary_of(
            found[one.pk], decisions[one.pk].current, days[one.pk].latest, today, decisions[one.pk].computed
        )
        for one in chosen
    ]
    lifts = _lifts(summaries, decisions)
    warm_ups = _warm_ups([found[one.pk] for one in chosen if one.stage == Stage.WARM_UP], today)
    return [
        Row(
            one,
            summary,
            *days[one.pk],
            lifts.get(one.pk),
            warm_ups.get(one.pk),
            decisions[one.pk].was_warned,
        )
        for one, summary in zip(chosen, summaries, strict=True)
    ]


class _Decisions(NamedTuple):
    """The allocation in force, and the last one from data where the end explains nothing, as early ones do.

    ``was_warned``: by the last one from data before the end; the end looks at no guard.
    """

    current: Allocation | None
    computed: Allocation | None
    was_warned: bool = False

    @property
    def shares(self) -> list[AllocationShare]:
        decision = self.computed or self.current
        return list(decision.shares.all()) if decision else []


def _decisions(
    chosen: Sequence[Listed], experiments: Mapping[int, Experiment], today: dt.date
) -> dict[int, _Decisions]:
    current = {one.pk: one.decision for one in chosen if one.decision}
    ended = [one.pk for one in chosen if one.status == Status.COMPLETED]
    before = Allocation.objects.exclude(kind__in=CLOSING).newest_of(ended, today)
    computed = before.values_list("pk", flat=True) if ended else ()
    by_experiment: defaultdict[int, list[Allocation]] = defaultdict(list)
    for allocation in decisions_of({*current.values(), *computed}, experiments.values()):
        by_experiment[allocation.experiment_id].append(allocation)
    return {one.pk: _both(by_experiment[one.pk], current.get(one.pk)) for one in chosen}


def _both(found: Sequence[Allocation], current: int | None) -> _Decisions:
    now = next((row for row in found if row.pk == current), None)
    if now is None or now.kind not in CLOSING:
        return _Decisions(now, None)
    before = next((row for row in found if row.kind not in CLOSING), None)
    was_warned = before is not None and (before.kind == Kind.GUARD or bool(before.harms))
    explains = any(share.rate is not None for share in now.shares.all())
    return _Decisions(now, None if explains else before, was_warned)


def _lifts(summaries: Sequence[Summary], decisions: dict[int, _Decisions]) -> dict[int, Lift]:
    """The lift of each leader over the control, by experiment id."""
    pairs = {
        pk: (summary.leader, control)
        for summary in summaries
        if summary.leader
        and (control := control_beside(summary.leader, decisions[pk := summary.experiment.pk].shares))
    }
    return dict(zip(pairs, stored_lifts(list(pairs.values())), strict=True))


def _variants(today: dt.date) -> "Prefetch[Any, Any, Any]":
    """Read the variants, each with its first and its last day with data, which are the ends of an index."""
    days = DailyMetric.objects.filter(variant=OuterRef("pk")).values("date")
    begins, ends = days.order_by("date")[:1], days.filter(date__lte=today).order_by("-date")[:1]
    return Prefetch("variants", Variant.objects.annotate(begins=Subquery(begins), ends=Subquery(ends)))


class _Days(NamedTuple):
    """The first and the last day with data; None without any."""

    first: dt.date | None
    latest: dt.date | None


def _days_of(experiment: Experiment) -> _Days:
    """Find the days of an experiment whose variants were read by ``_variants``."""
    read = [vars(variant) for variant in experiment.variants.all()]
    begins, ends = ([one[name] for one in read if one[name] is not None] for name in ("begins", "ends"))
    return _Days(min(begins, default=None), max(ends, default=None))


def _warm_ups(experiments: Sequence[Experiment], today: dt.date) -> dict[int, WarmUp]:
    """How far each experiment is on its way to its first result; a day that has not begun does not count yet."""
    if not experiments:
        return {}
    rows = DailyMetric.objects.filter(variant__experiment__in=experiments, impressions__gt=0, date__lte=today)
    by_day: defaultdict[int, list[int]] = defaultdict(list)
    sums = rows.values_list("variant__experiment_id", "date").annotate(total=Sum("impressions"))
    for pk, _date, total in sums.order_by("date"):
        by_day[pk].append(total)
    return {e.pk: _warm_up(by_day[e.pk], int(e.merged_settings()["min_impressions"])) for e in experiments}


def _warm_up(by_day: Sequence[int], needed: int) -> WarmUp:
    recent, total = by_day[-_RECENT_DAYS:], sum(by_day)
    pace = sum(recent) / len(recent) if recent else 0
    missing = max(needed - total, 0)
    return WarmUp(total, needed, math.ceil(missing / pace) if pace and missing else None)
