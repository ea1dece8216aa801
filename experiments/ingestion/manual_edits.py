"""The totals of a day, set by hand on the dashboard or in the admin."""

import datetime as dt
from collections.abc import Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from experiments.audit import coded, coded_names, record_history
from experiments.exceptions import ChangedMeanwhileError, InvalidError, Issue
from experiments.ingestion.diff import RowChange, row_changes
from experiments.ingestion.record import Source, record_events
from experiments.metrics import COUNT_NAMES, DailyCounts, DayTotals
from experiments.models import Experiment
from experiments.selectors import find_experiment
from experiments.services import lock_experiments
from experiments.text import written_day


def set_day(
    *,
    experiment_id: int,
    rows: Sequence[DailyCounts],
    today: dt.date,
    now: dt.datetime,
    is_new: bool = False,
    shown: Sequence[DayTotals | None] | None = None,
    source: Source = "dashboard",
    reason: str = "",
) -> list[RowChange]:
    """Record the rows of one day, all or none, and return the changes, which the experiment's history keeps.

    With ``is_new`` nothing is overwritten: raise InvalidError if the day has data. ``shown`` is what each row held
    when it was edited: raise ChangedMeanwhileError if it holds something else now. A ``reason`` is kept with the
    counts before and after. Raises the errors of record_events too.
    """
    with transaction.atomic():
        lock_experiments([experiment_id])
        effects = row_changes([(experiment_id, row) for row in rows]) if rows else []
        if is_new and any(effect.before is not None for effect in effects):
            message = _("There are data of %(date)s already; edit that day instead.")
            raise InvalidError([Issue("date", "taken", message % {"date": written_day(rows[0].date)})])
        if shown is not None and [effect.before for effect in effects] != list(shown):
            raise ChangedMeanwhileError(_now_holding(effects))
        record_events(experiment_id=experiment_id, rows=rows, today=today, now=now, source=source)
        _keep_in_history(find_experiment(experiment_id), effects, reason)
    return effects


def _keep_in_history(experiment: Experiment, effects: Sequence[RowChange], reason: str) -> None:
    changed = [effect for effect in effects if effect.kind != "same"]
    if reason:
        said = f"{_before_and_after(experiment, effects)}. {reason}"
        record_history([experiment], reason=said)
    elif changed:
        names = coded_names([effect.row.variant_name for effect in changed])
        code = "day.edited" if any(effect.before is not None for effect in changed) else "day.added"
        said = coded(code, date=changed[0].row.date.isoformat(), **names)
        record_history([experiment], reason=said)


def _before_and_after(experiment: Experiment, effects: Sequence[RowChange]) -> str:
    names = dict(experiment.variants.values_list("key", "name"))
    return "; ".join(
        f"{names.get(effect.row.variant_name, effect.row.variant_name)}, {effect.row.date}: "
        f"{_written(effect.before, '/')} became {_written(effect.after, '/')}"
        for effect in effects
    )


def _now_holding(effects: Sequence[RowChange]) -> str:
    now = "; ".join(
        f"{effect.row.variant_name} {_written(effect.before, ' / ')}"
        for effect in effects
        if effect.before is not None
    )
    message = _(
        "Somebody changed this day while you were editing. It now holds: %(now)s. Save again to overwrite it."
    )
    return message % {"now": now or "–"}


def _written(totals: DayTotals | None, between: str) -> str:
    """Write a day's numbers in the order of its columns; values only where there are any."""
    if totals is None:
        return "–"
    has_values = any(totals[len(COUNT_NAMES) :])
    return between.join(map(str, totals if has_values else totals[: len(COUNT_NAMES)]))
