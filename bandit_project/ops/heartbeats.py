"""When the scheduler's last round and the last backup were: in the database for metrics, in a file for a health check.

The database is the place for what another machine asks. The file says that this process goes on, also while the
database is away: a container's health check reads it without starting Django (deploy/healthcheck.py).
"""

import datetime as dt
from pathlib import Path

from django.conf import settings

from bandit_project.models import Heartbeat


def record_heartbeat(job: Heartbeat.Job, now: dt.datetime) -> None:
    """Write down that the job has just been done."""
    Heartbeat.objects.bulk_create(
        [Heartbeat(job=job, at=now)],
        update_conflicts=True, unique_fields=["job"], update_fields=["at"],
    )  # fmt: skip


def seconds_since(now: dt.datetime) -> dict[str, float]:
    """The age of each job's heartbeat, without those that never had one."""
    found = Heartbeat.objects.values_list("job", "at")
    return {job: max(0.0, (now - at).total_seconds()) for job, at in found}


def touch_file() -> None:
    """Note in SCHEDULER_HEARTBEAT, where it is set, that this process goes on."""
    if settings.SCHEDULER_HEARTBEAT:
        Path(settings.SCHEDULER_HEARTBEAT).touch()
