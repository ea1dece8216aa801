"""What a single installation does by itself: decide once a day, look for alarms, deliver, forget what is old.

The same functions as the commands for cron. Several schedulers may run: one at a time works, the others wait.
"""

import datetime as dt
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.utils import timezone

from allocation.sweep import run_daily_sweep
from bandit_project.models import JobRun
from bandit_project.ops.pruning import prune
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
        _once_a_day(
            "allocate",
            local.date(),
            now,
            lambda: run_daily_sweep(target_date=local.date(), now=now, stopped=stopped).finished,
        )


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
