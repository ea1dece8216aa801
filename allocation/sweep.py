"""The daily sweep: look for traffic that is wrong or missing, then decide for every active experiment.

The scheduler and ``manage.py allocate --all`` call ``run_daily_sweep``.
"""

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connection, transaction
from django.db.models import Count
from django.utils import timezone

from allocation.alerts import is_alarming
from allocation.campaigns.guard_alerts import clear_where_over
from allocation.campaigns.schedule import complete_decided, follow_schedules
from allocation.engine.settings import LONGEST_WINDOW
from allocation.exceptions import AllocationFailedError
from allocation.ledger.statements import VariantKey, refresh_statistics, variant_keys
from allocation.sample_ratio import SampleRatioResult, sample_ratios_of
from allocation.services import Outcome, compute_allocations
from experiments.events import log_event, log_problem_event
from experiments.models import Experiment, Status
from experiments.services import lock_experiments
from notifications.alarms import DATED_KINDS, ActiveConditions, clear_where_not_active, sync_alarms
from notifications.events import EventKind
from notifications.models import Alarm
from notifications.outbox import queue
from notifications.selectors import active_experiments, stale_experiments

logger = logging.getLogger(__name__)

# Decided in one transaction: so many experiments, and so many counts of days and variants if each has a whole window,
# which is about 30 MB and two seconds of a lock that others may wait for.
_CHUNK = 200
_CHUNK_COUNTS = 1 << 17
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
    """Start and end what is due, sync the alarms about the traffic of all active experiments, decide, and complete what
    is to be once decided. On equal data nothing is written.

    Traffic comes first: no result is news while it does not arrive as split. A fault there stops no decision.
    ``report`` is called with each outcome as it comes; once ``stopped`` answers True the rest is left for the next run.
    """
    problem = None
    # The traffic of a past day is no news, and an end is for now: tomorrow's would leave today's split as it is.
    is_current = target_date == timezone.localdate(now)
    if is_current:
        follow_schedules(now=now)
        problem = _try_to_alert(target_date, now, stopped)
    computed = recorded = failed = 0
    for outcome in compute_all(target_date=target_date, now=now):
        report(outcome)
        computed += outcome.entry is not None
        recorded += outcome.entry is not None and outcome.entry.is_new
        failed += outcome.error is not None
        if stopped():
            return Sweep(computed, recorded, failed, finished=False)
    if problem is not None:
        raise problem
    if is_current:
        complete_decided(target_date=target_date, now=now)
    if recorded:
        refresh_statistics()
    log_event("sweep.finished", target_date=target_date.isoformat(), recorded=recorded, failed=failed)
    return Sweep(computed, recorded, failed, finished=True)


def compute_all(*, target_date: dt.date, now: dt.datetime) -> Iterator[Outcome]:
    """Every active experiment's outcome, as it comes; in chunks of a transaction each."""
    active = Experiment.objects.filter(status=Status.ACTIVE).annotate(size=Count("variants"))
    for ids in _chunks(active.order_by("pk").values_list("pk", "size")):
        for outcome in _compute_chunk(ids, target_date, now):
            if outcome.error is not None:
                log_problem_event(
                    "allocation.failed", experiment=outcome.experiment_id, code=outcome.error.code
                )
            yield outcome


def _chunks(sizes: Iterable[tuple[int, int]]) -> Iterator[list[int]]:
    """Runs of ids, from ids with their numbers of variants; one that is too large by itself goes alone."""
    chunk: list[int] = []
    counts = 0
    for pk, variants in sizes:
        own = variants * LONGEST_WINDOW
        if chunk and (len(chunk) == _CHUNK or counts + own > _CHUNK_COUNTS):
            yield chunk
            chunk, counts = [], 0
        chunk.append(pk)
        counts += own
    if chunk:
        yield chunk


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


def _try_to_alert(target_date: dt.date, now: dt.datetime, stopped: Callable[[], bool]) -> Exception | None:
    """Answer the fault, if there is one, to be raised once everything is decided."""
    try:
        alert_on_traffic(target_date, now, stopped)
    except Exception as error:
        if _database_is_away(error):
            raise
        return error
    return None


def alert_on_traffic(
    target_date: dt.date, now: dt.datetime, stopped: Callable[[], bool] = lambda: False
) -> None:
    """Raise and clear the alarms about traffic that does not arrive as split, and about missing data.

    What is left once ``stopped`` answers True waits for the next run.
    """
    clear_where_not_active((*_ALARMS, *DATED_KINDS), now)
    clear_where_over(now)
    stale = set(stale_experiments(target_date).values_list("pk", flat=True))
    is_open = defaultdict[int, set[str]](set)
    for pk, kind in Alarm.objects.filter(kind__in=_ALARMS, cleared_at=None).values_list("experiment", "kind"):
        is_open[pk].add(kind)
    ids = list(active_experiments().order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), _CHUNK):
        if stopped():
            return
        ratios = _sample_ratios(variant_keys(ids[start : start + _CHUNK]), target_date)
        holding = {pk: _conditions(pk, pk in stale, ratio, target_date) for pk, ratio in ratios.items()}
        news = sorted(pk for pk, active in holding.items() if _is_news(active, is_open[pk]))
        _sync(news, {place: facts for pk in news for place, facts in holding[pk].items()}, now)


def _is_news(active: ActiveConditions, is_open: Collection[str]) -> bool:
    """True where an alarm is to be raised or cleared; what is as it was costs no query."""
    raised = {kind for (_pk, kind), facts in active.items() if facts is not None}
    return not (raised <= set(is_open) <= {kind for _pk, kind in active})


def _sample_ratios(
    variants: Mapping[int, Sequence[VariantKey]], date: dt.date
) -> Mapping[int, SampleRatioResult | None]:
    """The comparison of each experiment; one that cannot be compared is left out, and its alarms stay as they are.

    Raises OperationalError or InterfaceError where the database is away.
    """
    try:
        return sample_ratios_of(variants, date)
    except Exception as error:
        if _database_is_away(error):
            raise
        logger.exception("looking for alarms failed for %s experiments", len(variants))
        if len(variants) == 1:
            return {}
    return {pk: found for one in variants for pk, found in _sample_ratios({one: variants[one]}, date).items()}


def _sync(ids: Sequence[int], active: ActiveConditions, now: dt.datetime) -> None:
    """Settle the alarms of these experiments at once; a chunk that fails is taken apart."""
    if not ids:
        return
    try:
        with transaction.atomic():
            lock_experiments(ids)
            found = Experiment.objects.in_bulk(ids)  # without those that were deleted meanwhile
            holding = {place: facts for place, facts in active.items() if place[0] in found}
            queue(sync_alarms(found, _ALARMS, holding, now), now)
    except Exception as error:
        if _database_is_away(error):
            raise
        logger.exception("looking for alarms failed for %s experiments", len(ids))
        for pk in ids if len(ids) > 1 else ():
            _sync([pk], active, now)


def _conditions(pk: int, is_stale: bool, ratio: SampleRatioResult | None, date: dt.date) -> ActiveConditions:
    active: dict[tuple[int, str], dict[str, Any] | None] = {}
    if is_stale:
        active[pk, EventKind.NO_DATA] = {"days": settings.NO_DATA_DAYS, "date": date.isoformat()}
    if ratio is not None and ratio.mismatch:
        facts = _mismatch_facts(ratio) if is_alarming(ratio) else None
        active[pk, EventKind.SAMPLE_RATIO_MISMATCH] = facts
    return active


def _mismatch_facts(ratio: SampleRatioResult) -> dict[str, Any]:
    return {
        "p_value": ratio.p_value,
        "chi_square": ratio.chi_square,
        "observed": ratio.observed,
        "expected": ratio.expected,
    }
