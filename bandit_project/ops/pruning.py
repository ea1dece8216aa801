"""Deletes what is no longer needed. The decision in force for a date is never touched, only superseded ones."""

import datetime as dt
from collections.abc import Callable
from importlib import import_module

from axes.models import AccessAttempt, AccessLog
from django.conf import settings
from django.utils import timezone

from allocation.ledger.entries import prune_superseded
from bandit_project.models import ApiKey, JobRun, SentSummary
from experiments.api.idempotency import prune_idempotent_answers
from experiments.audit.intake import prune_intakes
from experiments.tables.uploads import prune_uploads
from notifications.retention import prune_notifications
from serving.counting import prune_counted_days

Stopped = Callable[[], bool]

_LOGINS_KEPT = dt.timedelta(days=90)
_RUNS_KEPT = dt.timedelta(days=30)


def prune(*, now: dt.datetime, stopped: Stopped = lambda: False) -> dict[str, int]:
    """Delete, and return how many of each kind. ``stopped`` is asked between kinds, and between batches of decisions:
    the scheduler shows meanwhile that it goes on, and ends soon when it is asked to."""
    deleted = {}
    for kind, delete in _KINDS.items():
        if stopped():
            break
        deleted[kind] = delete(now, stopped)
    return deleted


def _prune_ledger(now: dt.datetime, stopped: Stopped) -> int:
    if settings.LEDGER_RETENTION_DAYS is None:
        return 0
    return prune_superseded(before=now - dt.timedelta(days=settings.LEDGER_RETENTION_DAYS), stopped=stopped)


def _prune_own_records(now: dt.datetime, stopped: Stopped) -> int:
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    summaries = SentSummary.objects.filter(claimed_at__lt=now - _RUNS_KEPT).delete()[0]
    return summaries + JobRun.objects.filter(finished_at__lt=now - _RUNS_KEPT).delete()[0]


_KINDS: dict[str, Callable[[dt.datetime, Stopped], int]] = {
    "idempotent answers": lambda now, stopped: prune_idempotent_answers(now=now),
    "uploads never recorded": lambda now, stopped: prune_uploads(now=now),
    "lines about who recorded data": lambda now, stopped: prune_intakes(today=timezone.localdate(now)),
    "expired API keys": lambda now, stopped: ApiKey.objects.filter(expiry_date__lt=now).delete()[0],
    "caps of past days": lambda now, stopped: prune_counted_days(today=timezone.localdate(now)),
    "superseded decisions": _prune_ledger,
    "notifications": lambda now, stopped: prune_notifications(
        before=now - dt.timedelta(days=settings.DELIVERY_RETENTION_DAYS)
    ),
    "failed logins": lambda now, stopped: AccessAttempt.objects.filter(
        attempt_time__lt=now - settings.AXES_COOLOFF_TIME
    ).delete()[0],
    "logins": lambda now, stopped: AccessLog.objects.filter(attempt_time__lt=now - _LOGINS_KEPT).delete()[0],
    "records of summaries and runs": _prune_own_records,
}
