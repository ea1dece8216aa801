"""Summaries of experiments: their state, the split, and what it has brought. Reads only."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.http import Http404

from allocation.engine.analysis.gains import NORMAL_95
from allocation.models import CLOSING, Allocation, AllocationShare, Kind, State, leading_share
from allocation.selectors import (
    current_allocations,
    experiments_for_allocation,
)
from dashboard.charts import SplitPart, split_bar, variant_colours
from experiments.exceptions import NotFoundError
from experiments.models import Experiment, Status
from experiments.selectors import find_experiment

# A running experiment that has reported nothing for so long is worth a look.
STALE_AFTER_DAYS = 2


@dataclass(frozen=True)
class Gain:
    """Rewards over an even split up to ``through``, in successes or value, with their 95% interval."""

    value: float
    low: float
    high: float
    through: dt.date | None


@dataclass(frozen=True)
class Summary:
    """One experiment at a glance. ``leader``: of a completed one its winner, as the last decision from data saw it.

    ``gain``: rewards over an even split so far; None before any are recorded. ``is_mismatched``: traffic does not
    arrive as split.
    """

    experiment: Experiment
    allocation: Allocation | None
    split: list[SplitPart] = field(default_factory=list)
    leader: AllocationShare | None = None
    leader_colour: str = ""
    uplift: float | None = None
    gain: Gain | None = None
    latest: dt.date | None = None
    is_stale: bool = False
    is_mismatched: bool = False

    @property
    def state(self) -> str:
        """Empty unless it runs, and compares variants; what a guard has stopped is not called led or decided."""
        if self.experiment.status != Status.ACTIVE or self.allocation is None or self.is_stopped:
            return ""
        is_result = self.allocation.state in {State.LEADER, State.DECIDED}
        return "" if is_result and (self.is_mismatched or self.is_alone) else self.allocation.state

    @property
    def is_alone(self) -> bool:
        """True with a single active variant, which is compared with none."""
        return sum(variant.is_active for variant in self.experiment.variants.all()) == 1

    @property
    def is_stopped(self) -> bool:
        """True while a guard gives the control all traffic."""
        runs = self.experiment.status == Status.ACTIVE and not self.experiment.archived_at
        return runs and self.allocation is not None and self.allocation.kind == Kind.GUARD


def experiment_or_404(reference: str, date: dt.date) -> Experiment:
    """Find the experiment of this id or key for a page, with all that its statistics need."""
    try:
        return find_experiment(reference, experiments_for_allocation(date))
    except NotFoundError as error:
        raise Http404(str(error)) from error


def summarise_head(experiment: Experiment, today: dt.date, allocation: Allocation | None = None) -> Summary:
    """Summarise an experiment from experiment_or_404 without what only lists show; two queries.

    ``allocation``: the one in force, where it was read already.
    """
    if allocation is None:
        allocation = current_allocations([experiment], today).get(experiment.pk)
    return summary_of(experiment, allocation, experiment.data_summary.latest_date, today)


def is_late(latest: dt.date | None, today: dt.date) -> bool:
    """True where a running experiment has reported nothing for some days."""
    return latest is not None and (today - latest).days > STALE_AFTER_DAYS


def summary_of(
    experiment: Experiment,
    allocation: Allocation | None,
    latest: dt.date | None,
    today: dt.date,
    computed: Allocation | None = None,
) -> Summary:
    """Summarise one experiment.

    ``latest``: the last day with data. ``computed``: the last decision from data where the end explains nothing.
    """
    split = list(allocation.shares.all()) if allocation else []
    shares = list(computed.shares.all()) if computed else split
    # The decision may be newer than the list of variants, which was read before it.
    colours = variant_colours({*experiment.variants.all(), *(share.variant for share in (*split, *shares))})
    ended = allocation is not None and allocation.kind in CLOSING
    leader = _winner(shares, split) if ended else leading_share(shares)
    return Summary(
        experiment=experiment,
        allocation=allocation,
        split=split_bar(split, colours),
        leader=leader,
        leader_colour=colours[leader.variant_id] if leader else "",
        uplift=_uplift(shares, leader),
        gain=gain_of(allocation) or gain_of(computed),
        latest=latest,
        is_stale=experiment.status == Status.ACTIVE and is_late(latest, today),
        is_mismatched=bool(getattr(experiment, "has_mismatch", False)),
    )


def _winner(shares: Sequence[AllocationShare], split: Sequence[AllocationShare]) -> AllocationShare | None:
    """Find the share of the variant that gets all traffic now."""
    winners = {share.variant_id for share in split if share.share == 1}
    return next((share for share in shares if share.variant_id in winners), None)


def _uplift(shares: Sequence[AllocationShare], leader: AllocationShare | None) -> float | None:
    """Compare the leader's rate with the control's; None where the control leads or has too little data."""
    control = next((share for share in shares if share.variant.is_control), None)
    if leader is None or control is None or leader == control or control.missing_trials:
        return None
    if not control.rate or leader.rate is None:
        return None
    return leader.rate / control.rate - 1


def gain_of(allocation: Allocation | None) -> Gain | None:
    """The gain that a decision recorded; None where it priced none: by the first engine, or completed before."""
    if allocation is None or allocation.gained_over_even is None:
        return None
    if allocation.kind == Kind.COMPLETED and not (allocation.gain_error or allocation.given_up):
        return None
    around = NORMAL_95 * (allocation.gain_error or 0.0)
    gained = allocation.gained_over_even
    return Gain(gained, gained - around, gained + around, allocation.data_through)
