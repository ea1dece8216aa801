"""A day's totals as a person sets them by hand."""

import datetime as dt
from collections.abc import Collection, Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from experiments.audit import record_history
from experiments.exceptions import ChangedMeanwhileError, InvalidError, Issue, NotFoundError
from experiments.ingestion.diff import RowChange, row_changes
from experiments.ingestion.record import record_events
from experiments.metrics import Counts, DailyCounts
from experiments.models import DailyMetric, Experiment
from experiments.selectors import find_experiment
from experiments.services import lock_experiments


def set_day(
    *,
    experiment_id: int,
    rows: Sequence[DailyCounts],
    today: dt.date,
    now: dt.datetime,
    is_new: bool = False,
    shown: Sequence[Counts[int] | None] | None = None,
) -> list[RowChange]:
    """Records the rows of one day, all or none, and answers what that changed; the change is kept in the history.

    A day that ``is_new`` overwrites nothing: InvalidError where there are data of it. ``shown`` is what each row
    held when it was edited: ChangedMeanwhileError where it holds something else now. Raises the errors of
    record_events.
    """
    with transaction.atomic():
        lock_experiments([experiment_id])
        effects = row_changes(experiment_id, rows) if rows else []
        if is_new and any(effect.before is not None for effect in effects):
            message = _("There are data of %(date)s already; edit that day instead.")
            raise InvalidError([Issue("date", "taken", message % {"date": rows[0].date})])
        if shown is not None and [effect.before for effect in effects] != list(shown):
            raise ChangedMeanwhileError(_now_holding(effects))
        record_events(experiment_id=experiment_id, rows=rows, today=today, now=now, source="dashboard")
        changed = [effect.row.variant_name for effect in effects if effect.kind != "same"]
        if changed:
            said = _("Data of %(date)s set by hand: %(variants)s")
            reason = said % {"date": rows[0].date, "variants": ", ".join(changed)}
            record_history([find_experiment(experiment_id)], reason=reason)
    return effects


def _now_holding(effects: Sequence[RowChange]) -> str:
    now = "; ".join(
        f"{effect.row.variant_name} {' / '.join(map(str, effect.before))}"
        for effect in effects
        if effect.before is not None
    )
    message = _(
        "Somebody changed this day while you were editing. It now holds: %(now)s. Save again to overwrite it."
    )
    return message % {"now": now or "–"}


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
