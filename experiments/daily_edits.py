"""A day's totals as a person sets them by hand."""

import datetime as dt
from collections.abc import Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from experiments.counts import DailyCounts
from experiments.effects import Effect, effects_of
from experiments.exceptions import InvalidError, Issue
from experiments.history import record_history
from experiments.ingestion import record_events
from experiments.selectors import find_experiment
from experiments.services import lock_experiments


def set_day(
    *,
    experiment_id: int,
    rows: Sequence[DailyCounts],
    today: dt.date,
    now: dt.datetime,
    is_new: bool = False,
) -> list[Effect]:
    """Records the rows of one day, all or none, and answers what that changed; the change is kept in the history.

    A day that ``is_new`` overwrites nothing: InvalidError where there are data of it. Raises the errors of
    record_events.
    """
    with transaction.atomic():
        lock_experiments([experiment_id])
        effects = effects_of(experiment_id, rows) if rows else []
        if is_new and any(effect.before is not None for effect in effects):
            message = _("There are data of %(date)s already; edit that day instead.")
            raise InvalidError([Issue("date", "taken", message % {"date": rows[0].date})])
        record_events(experiment_id=experiment_id, rows=rows, today=today, now=now, source="dashboard")
        changed = [effect.row.variant_name for effect in effects if effect.kind != "same"]
        if changed:
            said = _("Data of %(date)s set by hand: %(variants)s")
            reason = said % {"date": rows[0].date, "variants": ", ".join(changed)}
            record_history([find_experiment(experiment_id)], reason=reason)
    return effects
