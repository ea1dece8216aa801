"""Corrections by hand: the rules of every ingestion, and a line in the experiment's history that says who and why."""

import datetime as dt
from collections.abc import Collection

from django.db import transaction

from experiments.counts import DailyCounts
from experiments.exceptions import NotFoundError
from experiments.history import record_history
from experiments.ingestion import record_events
from experiments.models import DailyMetric, Experiment
from experiments.services import lock_experiments


def correct_day(
    *,
    metric_id: int,
    impressions: int,
    clicks: int,
    conversions: int,
    reason: str,
    today: dt.date,
    now: dt.datetime,
) -> None:
    """Sets the totals of a day that is stored already.

    Raises InvalidRowsError, StatusConflictError (a draft or a completed experiment takes no data), NotFoundError.
    """
    with transaction.atomic():
        metric = DailyMetric.objects.select_related("variant").filter(pk=metric_id).first()
        if metric is None:
            raise NotFoundError("This day is no longer there.")
        experiment_id = metric.variant.experiment_id
        lock_experiments([experiment_id])
        metric.refresh_from_db()
        row = DailyCounts(metric.date, metric.variant.key, impressions, clicks, conversions)
        record_events(experiment_id=experiment_id, rows=[row], today=today, now=now, source="admin")
        was = (metric.impressions, metric.clicks, metric.conversions)
        change = f"{_counts(*was)} became {_counts(impressions, clicks, conversions)}"
        note_data_change([experiment_id], f"{metric.variant.name}, {metric.date}: {change}. {reason}")


def note_data_change(experiment_ids: Collection[int], reason: str) -> None:
    """Who changed daily rows, and what was done, in the experiments' histories."""
    record_history(list(Experiment.objects.filter(pk__in=experiment_ids)), reason=reason)


def _counts(impressions: int, clicks: int, conversions: int) -> str:
    return f"{impressions}/{clicks}/{conversions}"
