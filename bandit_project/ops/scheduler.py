"""What a single installation does by itself: decide once a day, look for alarms, deliver, forget what is old.

The same functions as the commands for cron. Several schedulers may run: one at a time works, the others wait.
"""

import datetime as dt
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.utils import timezone

from allocation.announcements import announce_sweep
from allocation.services import compute_all
from bandit_project.models import JobRun
from bandit_project.ops.pruning import prune
from experiments.events import log_event
from experiments.locks import only_one
from notifications.delivery import deliver_waiting

logger = logging.getLogger(__name__)

Stopped = Callable[[], bool]


def run_due(now: dt.datetime, stopped: Stopped = lambda: False) -> None:
    """All that is due at this moment; what fails is logged, tried again at the next one, and stops nothing else."""
    with _log_failure("scheduler"), only_one("scheduler") as free:
        if free:
            with _log_failure("allocate"):
                allocate_once_a_day(now, stopped)
            with _log_failure("prune"):
                _once_a_day("prune", timezone.localdate(now), now, lambda: bool(prune(now=now)))
            with _log_failure("deliver"):
                deliver_waiting()


def allocate_once_a_day(now: dt.datetime, stopped: Stopped) -> None:
    """From SCHEDULER_ALLOCATE_AT on, in the installation's time zone; later the same day where it was down then."""
    local = timezone.localtime(now)
    if local.time() >= settings.SCHEDULER_ALLOCATE_AT:
        _once_a_day("allocate", local.date(), now, lambda: _allocate_all(local.date(), now, stopped))


def _allocate_all(date: dt.date, now: dt.datetime, stopped: Stopped) -> bool:
    """Whether it came to its end; a second run of what was decided already writes nothing."""
    computed = failed = 0
    for outcome in compute_all(target_date=date, now=now):
        computed, failed = computed + outcome.is_new, failed + (outcome.error is not None)
        if stopped():
            return False
    announce_sweep(date, now)
    log_event("sweep.finished", target_date=date.isoformat(), recorded=computed, failed=failed)
    return True


def _once_a_day(name: str, date: dt.date, now: dt.datetime, run: Callable[[], bool]) -> None:
    """Remembered once it is done: what was interrupted is done again."""
    if not JobRun.objects.filter(name=name, date=date).exists() and run():
        JobRun.objects.create(name=name, date=date, finished_at=now)


@contextmanager
def _log_failure(what: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        logger.exception("scheduler: %s failed", what)
