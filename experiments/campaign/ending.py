"""The end of an experiment: who ended it, and the way back for a day."""

import datetime as dt

from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from experiments.audit import record_history
from experiments.events import log_event_on_commit
from experiments.exceptions import UndoExpiredError
from experiments.models import Experiment, Status
from experiments.selectors import find_experiment

UNDO_WITHIN = dt.timedelta(hours=24)
# The moves of an undo; change_status, with its own table, knows no way out of an end.
UNDO_TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.COMPLETED: frozenset({Status.ACTIVE, Status.PAUSED}),
}


def undo_until(experiment: Experiment) -> dt.datetime | None:
    """Return the moment until which the end can be undone; None where it has not ended, or when is not known."""
    following = UNDO_TRANSITIONS.get(Status(experiment.status), frozenset())
    if experiment.completed_at is None or experiment.status_before_end not in following:
        return None
    return experiment.completed_at + UNDO_WITHIN


def can_undo(experiment: Experiment, now: dt.datetime) -> bool:
    until = undo_until(experiment)
    return until is not None and now < until and experiment.archived_at is None


def undo_end(*, experiment_id: int, now: dt.datetime) -> Experiment:
    """Give an ended experiment the status that it had before, within UNDO_WITHIN.

    What ended by itself does not do so again: the rule that completes it once decided is switched off, and its
    schedule has been followed. Raises UndoExpiredError after that time, StatusConflictError where it has not ended.
    """
    experiment = find_experiment(experiment_id)
    _refuse(experiment, now)
    to = Status(experiment.status_before_end)
    ended = Experiment.objects.filter(
        pk=experiment_id,
        status=experiment.status,
        status_before_end=to,
        completed_at=experiment.completed_at,
        archived_at=None,
    )
    by_itself = {} if experiment.completed_by else {"complete_when_decided": False}
    changed = ended.update(
        status=to,
        winner=None,
        decision_reason="",
        completed_at=None,
        completed_by="",
        status_before_end="",
        data_version=F("data_version") + 1,
        updated_at=now,
        **by_itself,
    )
    experiment = find_experiment(experiment_id)
    if changed != 1:
        raise experiment.status_conflict(_("has changed meanwhile; look at it again."))
    record_history([experiment])
    log_event_on_commit("experiment.end_undone", experiment=experiment_id, status=str(to))
    return experiment


def _refuse(experiment: Experiment, now: dt.datetime) -> None:
    if experiment.status != Status.COMPLETED:
        said = _("is %(status)s; only an end can be undone.")
        raise experiment.status_conflict(said % {"status": experiment.state_word})
    if experiment.archived_at:
        raise experiment.status_conflict(_("is archived; unarchive it first."))
    until = undo_until(experiment)
    if until is None:
        message = _("It is not known when experiment %(key)r ended; its end cannot be undone.")
        raise UndoExpiredError(message % {"key": experiment.key})
    if now >= until:
        message = _(
            "The end of experiment %(key)r could be undone until %(until)s. Duplicate it to test again."
        )
        shown = f"{timezone.localtime(until):%Y-%m-%d %H:%M %Z}"
        raise UndoExpiredError(message % {"key": experiment.key, "until": shown})
