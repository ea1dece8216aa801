"""Reads of the ledger that more than one place needs."""

import datetime as dt
from collections.abc import Iterable

from allocation.exceptions import NoAllocationError
from allocation.models import Allocation
from experiments.models import Experiment

HISTORY_DATES = 30


def allocation_in_force(experiment: Experiment, date: dt.date) -> Allocation:
    """The decision that counts on ``date``; raises NoAllocationError where there is none yet."""
    found = Allocation.objects.filter(experiment=experiment).in_force_on(date).with_shares().first()
    if found is None:
        raise NoAllocationError(f"Experiment {experiment.key!r} has no allocation yet.")
    return found


def allocation_history(
    experiment: Experiment,
    *,
    start: dt.date | None = None,
    end: dt.date | None = None,
    dates: int = HISTORY_DATES,
) -> list[Allocation]:
    """The last revision of each date from start to end, newest first, at most ``dates`` of them."""
    chosen = Allocation.objects.filter(experiment=experiment)
    if start is not None:
        chosen = chosen.filter(target_date__gte=start)
    if end is not None:
        chosen = chosen.filter(target_date__lte=end)
    return list(chosen.last_revisions().order_by("-target_date").with_shares()[:dates])


def current_allocations(experiments: Iterable[Experiment], date: dt.date) -> dict[int, Allocation]:
    """The allocation in force of each experiment that has one, by experiment id; two queries."""
    ids = [experiment.pk for experiment in experiments]
    newest = Allocation.objects.newest_of(ids, date).with_shares()
    return {allocation.experiment_id: allocation for allocation in newest}
