"""Deletes what is no longer needed. The decision in force for a date is never touched, only superseded ones."""

import datetime as dt
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

_LOGINS_KEPT = dt.timedelta(days=90)
_RUNS_KEPT = dt.timedelta(days=30)


def prune(*, now: dt.datetime) -> dict[str, int]:
    """Delete, and return how many of each kind."""
    logs_until = now - dt.timedelta(days=settings.DELIVERY_RETENTION_DAYS)
    deleted = {
        "idempotent answers": prune_idempotent_answers(now=now),
        "uploads never recorded": prune_uploads(now=now),
        "lines about who recorded data": prune_intakes(today=timezone.localdate(now)),
        "expired API keys": ApiKey.objects.filter(expiry_date__lt=now).delete()[0],
        "caps of past days": prune_counted_days(today=timezone.localdate(now)),
        "superseded decisions": _prune_ledger(now),
        "notifications": prune_notifications(before=logs_until),
        "failed logins": AccessAttempt.objects.filter(
            attempt_time__lt=now - settings.AXES_COOLOFF_TIME
        ).delete()[0],
        "logins": AccessLog.objects.filter(attempt_time__lt=now - _LOGINS_KEPT).delete()[0],
    }
    SentSummary.objects.filter(claimed_at__lt=now - _RUNS_KEPT).delete()
    JobRun.objects.filter(finished_at__lt=now - _RUNS_KEPT).delete()
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    return deleted


def _prune_ledger(now: dt.datetime) -> int:
    if settings.LEDGER_RETENTION_DAYS is None:
        return 0
    return prune_superseded(before=now - dt.timedelta(days=settings.LEDGER_RETENTION_DAYS))
