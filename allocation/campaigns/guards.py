"""The way back after a guard gave the control all traffic: a person resumes."""

import datetime as dt

from django.db import transaction
from django.utils.translation import gettext as _

from allocation.exceptions import NotStoppedError
from allocation.ledger.entries import Entry
from allocation.models import Allocation, Kind
from allocation.services import compute_allocation
from experiments.audit import coded
from experiments.models import Experiment, Status
from experiments.selectors import find_experiment

_AUDIT_REASON = coded("guard.resumed")


def is_stopped(experiment: Experiment, date: dt.date) -> bool:
    """Tell if the decision in force on ``date`` is a guard's, of an experiment that runs."""
    newest = Allocation.objects.filter(experiment=experiment).in_force_on(date).values_list("kind", flat=True)
    return experiment.status == Status.ACTIVE and not experiment.archived_at and newest.first() == Kind.GUARD


def resume_after_guard(*, experiment_id: int, target_date: dt.date, now: dt.datetime) -> Entry:
    """Split the traffic again. Guards count from ``target_date`` on, so that they do not stop at once on the same data.

    The audit history records who resumed. Raises NotStoppedError, and the errors of compute_allocation.
    """
    with transaction.atomic():
        experiment = find_experiment(experiment_id, Experiment.objects.select_for_update())
        if not is_stopped(experiment, target_date):
            message = _("Experiment %(key)r is not stopped by a guard; there is nothing to resume.")
            raise NotStoppedError(message % {"key": experiment.key})
        experiment.guards_since = target_date
        experiment.data_version += 1
        experiment.updated_at = now
        experiment._change_reason = _AUDIT_REASON  # type: ignore[attr-defined]  # read by django-simple-history
        experiment.save(update_fields=["guards_since", "data_version", "updated_at"])
        return compute_allocation(experiment_id=experiment_id, target_date=target_date, now=now)
