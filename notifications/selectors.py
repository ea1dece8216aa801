"""Reads that more than one place needs."""

import datetime as dt

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.utils import timezone

from experiments.models import DailyMetric, Experiment, ExperimentQuerySet, Status


def active_experiments() -> ExperimentQuerySet:
    return Experiment.objects.filter(status=Status.ACTIVE, archived_at=None)


def stale_experiments(date: dt.date) -> ExperimentQuerySet:
    """Active experiments, past their grace period, without data on the NO_DATA_DAYS days before ``date`` (or on it).

    The grace period begins again when one is started or resumed: it could take no data before.
    """
    since = date - dt.timedelta(days=settings.NO_DATA_DAYS)
    young = date - dt.timedelta(days=max(settings.NO_DATA_DAYS, settings.ALARM_GRACE_DAYS))
    midnight = dt.datetime.combine(young, dt.time(), timezone.get_current_timezone())
    recent = DailyMetric.objects.filter(
        variant__experiment=OuterRef("pk"), date__gte=since, date__lte=date, impressions__gt=0
    )
    return Experiment.objects.active_since(midnight).filter(~Exists(recent))
