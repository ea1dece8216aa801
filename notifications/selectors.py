"""Reads that more than one place needs."""

import datetime as dt

from django.conf import settings
from django.db.models import CharField, Exists, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from experiments.models import DailyMetric, Experiment, ExperimentQuerySet, Status


def active_experiments() -> ExperimentQuerySet:
    return Experiment.objects.filter(status=Status.ACTIVE, archived_at=None)


def stale_experiments(date: dt.date) -> ExperimentQuerySet:
    """Active ones without data on the NO_DATA_DAYS days before ``date`` (or on it), once past their grace period.

    The grace period begins anew where one was started or resumed: nobody could send it data before.
    """
    since = date - dt.timedelta(days=settings.NO_DATA_DAYS)
    young = date - dt.timedelta(days=max(settings.NO_DATA_DAYS, settings.ALARM_GRACE_DAYS))
    midnight = dt.datetime.combine(young, dt.time(), timezone.get_current_timezone())
    recent = DailyMetric.objects.filter(
        variant__experiment=OuterRef("pk"), date__gte=since, date__lte=date, impressions__gt=0
    )
    earlier = Experiment.history.filter(id=OuterRef("pk"), history_date__lt=midnight)
    last = Subquery(earlier.order_by("-history_date", "-history_id").values("status")[:1])
    # where nothing is known of then, it has been what it is since it was made
    status_then = Coalesce(last, Value(Status.ACTIVE.value), output_field=CharField())
    old = active_experiments().filter(~Exists(recent), created_at__lt=midnight)
    return old.alias(status_then=status_then).filter(status_then=Status.ACTIVE)
