"""The scheduler: starts and ends experiments, decides once a day, raises alarms, notifies and prunes, without cron.

It calls the functions of the commands that cron would run. Several schedulers may run: one works, the others wait.
"""

import datetime as dt
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from allocation.campaigns.schedule import follow_schedules
from allocation.sweep import run_daily_sweep
from allocation.sweep.spread import sweep_by_workers
from bandit_project.administration.weekly import send_weekly_summaries
from bandit_project.models import Heartbeat, JobRun
from bandit_project.ops.heartbeats import record_heartbeat
from bandit_project.ops.pruning import prune
from experiments.database.locks import only_one
from experiments.workers import has_workers
from notifications.delivery import deliver_waiting

logger = logging.getLogger(__name__)

Stopped = Callable[[], bool]

# As many as there may be: chunks so small that each has work until the end.
_WORKERS = 16
# Clocks of two machines may differ by less.
_AHEAD = dt.timedelta(minutes=5)


def run_due(now: dt.datetime, stopped: Stopped = lambda: False) -> None:
    """Run every job that is due now. A job that fails is logged, stops no other, and is tried again next time."""
    with _log_failure("scheduler"), only_one("scheduler") as free:
        if free:
            _forget_runs_to_come(now)
            with _log_failure("follow schedules"):
                follow_schedules(now=now)
            with _log_failure("allocate"):
                allocate_once_a_day(now, stopped)
            with _log_failure("prune"):
                _once_a_day("prune", timezone.localdate(now), now, lambda: _pruned(now, stopped))
            with _log_failure("deliver"):
                deliver_waiting()
            with _log_failure("weekly summaries"):
                send_weekly_summaries(now)
            with _log_failure("heartbeat"):
                record_heartbeat(Heartbeat.Job.SCHEDULER, now)


def _pruned(now: dt.datetime, stopped: Stopped) -> bool:
    prune(now=now, stopped=stopped)
    return not stopped()


def allocate_once_a_day(now: dt.datetime, stopped: Stopped) -> None:
    """Run the daily sweep after SCHEDULER_ALLOCATE_AT in the installation's time zone, or later the same day if the
    scheduler was down then."""
    local = timezone.localtime(now)
    if local.time() >= settings.SCHEDULER_ALLOCATE_AT:
        _once_a_day(
            "allocate",
            local.date(),
            now,
            lambda: _sweep(local.date(), now, stopped),
        )


def _sweep(date: dt.date, now: dt.datetime, stopped: Stopped) -> bool:
    """Decide here or, where there are workers, by them; tell whether it came to its end."""
    if not has_workers():
        return run_daily_sweep(target_date=date, now=now, stopped=stopped).finished
    spread = partial(sweep_by_workers, target_date=date, now=now)
    return run_daily_sweep(target_date=date, now=now, stopped=stopped, jobs=_WORKERS, spread=spread).finished


def _once_a_day(name: str, date: dt.date, now: dt.datetime, run: Callable[[], bool]) -> None:
    """Run a job unless it has finished today. An interrupted one runs again."""
    if not JobRun.objects.filter(name=name, date=date).exists() and run():
        JobRun.objects.create(name=name, date=date, finished_at=now)


def _forget_runs_to_come(now: dt.datetime) -> None:
    """Forget runs of a clock that was ahead and has been set back: their days are still to come."""
    JobRun.objects.filter(finished_at__gt=now + _AHEAD).delete()


@contextmanager
def _log_failure(what: str) -> Iterator[None]:
    """Log what failed; a database that is away with its own words alone, as a traceback each minute says no more."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        logger.warning("scheduler: %s failed: %s", what, " ".join(str(error).split()))
    except Exception:
        logger.exception("scheduler: %s failed", what)
