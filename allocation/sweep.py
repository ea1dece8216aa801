"""The daily sweep: decide for every active experiment, then look for traffic that is wrong or missing.

The scheduler and ``manage.py allocate --all`` call ``run_daily_sweep``.
"""

import datetime as dt
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from allocation.alerts import has_enough_data
from allocation.campaigns import complete_decided, follow_schedules
from allocation.exceptions import AllocationFailedError
from allocation.guard_alerts import clear_where_over
from allocation.sample_ratio import SampleRatioResult, sample_ratios_of
from allocation.services import Outcome, compute_allocations
from experiments.events import log_event, log_problem_event
from experiments.models import Experiment, Status
from experiments.services import lock_experiments
from notifications.alarms import ActiveConditions, clear_where_not_active, sync_alarms
from notifications.events import EventKind
from notifications.models import Alarm
from notifications.outbox import queue
from notifications.selectors import active_experiments, stale_experiments

logger = logging.getLogger(__name__)

_CHUNK = 200
# Experiments whose whole histories are in memory at once.
_HISTORIES = 20
_ALARMS = (EventKind.SAMPLE_RATIO_MISMATCH, EventKind.NO_DATA)


@dataclass(frozen=True)
class Sweep:
    """The result of a sweep. ``recorded``: new entries of the decision log; ``computed`` counts known ones too.

    ``finished``: it was not stopped before its end.
    """

    computed: int
    recorded: int
    failed: int
    finished: bool


def run_daily_sweep(
    *,
    target_date: dt.date,
    now: dt.datetime,
    report: Callable[[Outcome], object] = lambda outcome: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Sweep:
    """Start and end what is due, decide for all active experiments, sync the alarms about their traffic, and complete
    those that are to be once decided. On equal data nothing is written.

    ``report`` is called with each outcome as it comes; once ``stopped`` answers True the rest is left for the next run.
    """
    is_current = target_date >= timezone.localdate(
        now
    )  # a past day's traffic is no news, its end is long over
    if is_current:
        follow_schedules(now=now)
    computed = recorded = failed = 0
    for outcome in compute_all(target_date=target_date, now=now):
        report(outcome)
        computed += outcome.entry is not None
        recorded += outcome.entry is not None and outcome.entry.is_new
        failed += outcome.error is not None
        if stopped():
            return Sweep(computed, recorded, failed, finished=False)
    if is_current:
        alert_on_traffic(target_date, now)
        complete_decided(target_date=target_date, now=now)
    log_event("sweep.finished", target_date=target_date.isoformat(), recorded=recorded, failed=failed)
    return Sweep(computed, recorded, failed, finished=True)


def compute_all(*, target_date: dt.date, now: dt.datetime) -> Iterator[Outcome]:
    """Every active experiment's outcome, as it comes; in chunks of a transaction each."""
    ids = list(Experiment.objects.filter(status=Status.ACTIVE).order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), _CHUNK):
        for outcome in _compute_chunk(ids[start : start + _CHUNK], target_date, now):
            if outcome.error is not None:
                log_problem_event(
                    "allocation.failed", experiment=outcome.experiment_id, code=outcome.error.code
                )
            yield outcome


def _compute_chunk(ids: Sequence[int], target_date: dt.date, now: dt.datetime) -> list[Outcome]:
    """A chunk that fails as a whole is taken apart: a fault in one experiment must not stop the others.

    Raises OperationalError or InterfaceError where the database is away: the sweep is to be run again.
    """
    try:
        return compute_allocations(experiment_ids=ids, target_date=target_date, now=now)
    except Exception as error:
        if _database_is_away(error):
            raise
        logger.exception("allocation failed for %s", ids[0] if len(ids) == 1 else f"{len(ids)} experiments")
        if len(ids) == 1:
            return [Outcome(ids[0], error=AllocationFailedError(f"{type(error).__name__}: {error}"))]
    return [outcome for pk in ids for outcome in _compute_chunk([pk], target_date, now)]


def _database_is_away(error: Exception) -> bool:
    """True where every query would fail now; a lock or a deadlock concerns one chunk only."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    try:
        connection.ensure_connection()
        return not connection.is_usable()
    except Error:
        return True


def alert_on_traffic(target_date: dt.date, now: dt.datetime) -> None:
    """Raise and clear the alarms about traffic that does not arrive as split, and about missing data."""
    clear_where_not_active(_ALARMS, now)
    clear_where_over(now)
    stale = set(stale_experiments(target_date).values_list("pk", flat=True))
    is_open = set(Alarm.objects.filter(kind__in=_ALARMS, cleared_at=None).values_list("experiment", "kind"))
    ids = list(active_experiments().order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), _HISTORIES):
        chunk = Experiment.objects.prefetch_related("variants").in_bulk(ids[start : start + _HISTORIES])
        for pk, ratio in sorted(_sample_ratios(list(chunk.values()), target_date).items()):
            active = _conditions(pk, pk in stale, ratio, target_date)
            if _is_news(pk, active, is_open):
                _sync_one(chunk[pk], active, now)


def _is_news(pk: int, active: ActiveConditions, is_open: Collection[tuple[int, str]]) -> bool:
    """True where an alarm is to be raised or cleared; what is as it was costs no query."""
    known = {place for place in is_open if place[0] == pk}
    raised = {place for place, facts in active.items() if facts is not None}
    return not (raised <= known <= active.keys())


def _sample_ratios(
    experiments: Sequence[Experiment], date: dt.date
) -> Mapping[int, SampleRatioResult | None]:
    """The comparison of each experiment; one that cannot be compared is left out, and its alarms stay as they are.

    Raises OperationalError or InterfaceError where the database is away.
    """
    try:
        return sample_ratios_of(experiments, date)
    except Exception as error:
        if _database_is_away(error):
            raise
        logger.exception("looking for alarms failed for %s experiments", len(experiments))
        if len(experiments) == 1:
            return {}
    return {pk: found for one in experiments for pk, found in _sample_ratios([one], date).items()}


def _sync_one(experiment: Experiment, active: ActiveConditions, now: dt.datetime) -> None:
    try:
        with transaction.atomic():
            lock_experiments([experiment.pk])
            queue(sync_alarms({experiment.pk: experiment}, _ALARMS, active, now), now)
    except Exception as error:
        if _database_is_away(error):
            raise
        logger.exception("looking for alarms failed for experiment %s", experiment.pk)


def _conditions(pk: int, is_stale: bool, ratio: SampleRatioResult | None, date: dt.date) -> ActiveConditions:
    active: dict[tuple[int, str], dict[str, Any] | None] = {}
    if is_stale:
        active[pk, EventKind.NO_DATA] = {"days": settings.NO_DATA_DAYS, "date": date.isoformat()}
    if ratio is not None and ratio.mismatch:
        enough = has_enough_data(ratio.days, sum(ratio.observed.values()))
        active[pk, EventKind.SAMPLE_RATIO_MISMATCH] = _mismatch_facts(ratio) if enough else None
    return active


def _mismatch_facts(ratio: SampleRatioResult) -> dict[str, Any]:
    return {
        "p_value": ratio.p_value,
        "chi_square": ratio.chi_square,
        "observed": ratio.observed,
        "expected": ratio.expected,
    }
