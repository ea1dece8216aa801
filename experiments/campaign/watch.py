"""Services for what is written and watched beside an experiment: notes about its days, and guards of its metrics."""

import datetime as dt
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from experiments.audit import recorded_actor
from experiments.campaign.models import Guard, Note
from experiments.exceptions import GuardNotFoundError, InvalidError, Issue, NoteNotFoundError
from experiments.ingestion.validation import EARLIEST_DATE
from experiments.models import Experiment
from experiments.selectors import find_experiment
from experiments.text import written_day
from experiments.variants import open_for_change

_LATEST_DATE = dt.date(2099, 12, 31)
_IDS_END = 2**63


def add_note(*, experiment_id: int, date: dt.date, text: str, now: dt.datetime) -> Note:
    """Write a note about a day, signed by who is acting; past and coming days may have one."""
    if not EARLIEST_DATE <= date <= _LATEST_DATE:
        days = {"first": written_day(EARLIEST_DATE), "last": written_day(_LATEST_DATE)}
        raise InvalidError([Issue("date", "out_of_range", _("must lie from %(first)s to %(last)s") % days)])
    with transaction.atomic():
        experiment = find_experiment(experiment_id, Experiment.objects.select_for_update())
        return Note.objects.create(
            experiment=experiment, date=date, text=text, author=recorded_actor() or "", created_at=now
        )


def delete_note(*, experiment: Experiment, note_id: int) -> None:
    find_note(experiment, note_id).delete()


def find_note(experiment: Experiment, note_id: int) -> Note:
    found = experiment.notes.filter(pk=note_id).first() if note_id < _IDS_END else None
    if found is None:
        message = _("Experiment %(key)r has no note %(id)s.")
        raise NoteNotFoundError(message % {"key": experiment.key, "id": note_id})
    return found


def add_guard(*, experiment_id: int, metric: str, max_fall: float, action: str, now: dt.datetime) -> Guard:
    """Guard a metric; one guard for each metric of an experiment."""
    guard = Guard(
        experiment_id=experiment_id, metric=metric, max_fall=max_fall, action=action, created_at=now
    )
    with transaction.atomic():
        _open(experiment_id, now)
        _refuse_impossible(guard)
        guard.save()
    return guard


def change_guard(*, experiment: Experiment, guard_id: int, now: dt.datetime, **fields: Any) -> Guard:
    """Change any of metric, max_fall and action."""
    with transaction.atomic():
        _open(experiment.pk, now)
        guard = find_guard(experiment, guard_id)
        for name, value in fields.items():
            setattr(guard, name, value)
        _refuse_impossible(guard)
        guard.save()
    return guard


def delete_guard(*, experiment: Experiment, guard_id: int, now: dt.datetime) -> None:
    with transaction.atomic():
        _open(experiment.pk, now)
        find_guard(experiment, guard_id).delete()


def find_guard(experiment: Experiment, guard_id: int) -> Guard:
    found = experiment.guards.filter(pk=guard_id).first() if guard_id < _IDS_END else None
    if found is None:
        message = _("Experiment %(key)r has no guard %(id)s.")
        raise GuardNotFoundError(message % {"key": experiment.key, "id": guard_id})
    return found


def _refuse_impossible(guard: Guard) -> None:
    """Refuse a fall that is no fall, and a second guard of a metric; call under the experiment's lock."""
    if not 0 < guard.max_fall < 100:
        message = _("must be above 0 and below 100, in percent of the control's")
        raise InvalidError([Issue("max_fall", "out_of_range", message)])
    others = Guard.objects.filter(experiment=guard.experiment_id, metric=guard.metric).exclude(pk=guard.pk)
    if others.exists():
        message = _("has a guard already; change that one")
        raise InvalidError([Issue("metric", "taken", message)])


def _open(experiment_id: int, now: dt.datetime) -> None:
    open_for_change(experiment_id, now, _("is %(status)s; its guards stay as they are."))
