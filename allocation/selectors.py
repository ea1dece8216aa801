"""Reads of the ledger that more than one place needs."""

import datetime as dt
from collections.abc import Iterable

from django.db.models import F, OuterRef, QuerySet, Subquery

from allocation.engine import ENGINE_VERSION
from allocation.exceptions import NoAllocationError
from allocation.models import Allocation, AllocationQuerySet, Kind
from experiments.models import Experiment, ExperimentQuerySet, Status

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
    return _newest(Allocation.objects.all(), experiments, date)


def last_computed_allocations(experiments: Iterable[Experiment], date: dt.date) -> dict[int, Allocation]:
    """The same, but of completed experiments the last decision that rested on their data."""
    return _newest(Allocation.objects.exclude(kind=Kind.COMPLETED), experiments, date)


def _newest(
    ledger: AllocationQuerySet, experiments: Iterable[Experiment], date: dt.date
) -> dict[int, Allocation]:
    newest = ledger.newest_of([experiment.pk for experiment in experiments], date).with_shares()
    return {allocation.experiment_id: allocation for allocation in newest}


def in_state(experiments: ExperimentQuerySet, state: str, date: dt.date) -> ExperimentQuerySet:
    """Those that run and whose allocation in force on ``date`` is in this state."""
    return experiments.filter(status=Status.ACTIVE).alias(now=_in_force("state", date)).filter(now=state)


def nearest_to_a_decision(experiments: ExperimentQuerySet, date: dt.date) -> ExperimentQuerySet:
    """Least value remaining first, what has none yet last."""
    remaining = F("remaining").asc(nulls_last=True)
    return experiments.alias(remaining=_in_force("value_remaining", date)).order_by(remaining, "-pk")


def _in_force(field: str, date: dt.date) -> Subquery:
    return Subquery(Allocation.objects.filter(experiment=OuterRef("pk")).in_force_on(date).values(field)[:1])


def with_newest_allocation() -> QuerySet[Experiment]:
    """Adds ``newest_allocation``, the id of the last entry of the ledger: every decision has a new one."""
    ledger = Allocation.objects.filter(experiment=OuterRef("pk")).order_by("-pk")
    return Experiment.objects.annotate(newest_allocation=Subquery(ledger.values("pk")[:1]))


def answer_key(call: str, experiment: Experiment, *arguments: object) -> str:
    """Under which an answer is cached. Whatever could change the answer changes the key: nothing goes stale."""
    return f"{call}:{ENGINE_VERSION}:" + ":".join(str(part) for part in (*_state(experiment), *arguments))


def unchanged_but_for(decision: Allocation, before: Experiment, after: Experiment) -> bool:
    """Whether ``decision`` is all that has happened to the experiment between two reads of it."""
    *was, newest_before = _state(before)
    *became, newest_after = _state(after)
    return was == became and newest_after in (newest_before, decision.pk)


def _state(experiment: Experiment) -> tuple[object, ...]:
    """Data, settings, variants and status (data_version, updated_at), and the ledger (its newest entry)."""
    newest = experiment.newest_allocation  # type: ignore[attr-defined]  # from with_newest_allocation
    return experiment.pk, experiment.data_version, experiment.updated_at.timestamp(), newest
