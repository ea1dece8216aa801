"""Experiments that take no events, and why."""

from collections.abc import Sequence

from django.utils.translation import gettext as _

from experiments.exceptions import DomainError, ExperimentNotFoundError
from experiments.models import TAKES_EVENTS, Experiment, Status
from experiments.selectors import find_experiment


def refusals_of(experiment_ids: Sequence[int]) -> dict[int, DomainError]:
    """Say why some of these experiments take no events, by id; under their locks it stays so."""
    ready = Experiment.objects.filter(pk__in=experiment_ids, status__in=TAKES_EVENTS, archived_at=None)
    closed = set(experiment_ids).difference(ready.values_list("pk", flat=True))
    return {experiment_id: _refusal_of(experiment_id) for experiment_id in sorted(closed)}


def _refusal_of(experiment_id: int) -> DomainError:
    try:
        experiment = find_experiment(experiment_id)
    except ExperimentNotFoundError as error:
        return error
    refusal = [_("is %(status)s and takes no events.") % {"status": experiment.state_word}]
    if experiment.status == Status.DRAFT and not experiment.archived_at:
        refusal.append(_("Start it first."))
    return experiment.status_conflict(" ".join(refusal))
