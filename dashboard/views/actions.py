"""What a person does to an experiment with a button: one service each, then back to where they were."""

from collections.abc import Callable

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from allocation.demo import seed_demo
from allocation.services import complete_experiment, compute_or_find
from dashboard.access import View, requires
from dashboard.summaries import experiment_or_404
from experiments.exceptions import DomainError, InvalidError, Issue
from experiments.models import Experiment, Status
from experiments.roles import Role
from experiments.selectors import today
from experiments.services import change_status
from experiments.variants import find_variant

_DEMO_SEED = 7


def _on_experiment(act: Callable[[HttpRequest, Experiment], str]) -> View:
    """A POST on one experiment; what the service refuses is told on the page, and nothing has changed."""

    @require_POST
    @requires(Role.ANALYST)
    def view(request: HttpRequest, reference: str) -> HttpResponse:
        experiment = experiment_or_404(reference, today())
        try:
            messages.success(request, act(request, experiment))
        except DomainError as error:
            messages.error(request, str(error))
        return redirect("dashboard:overview", reference=experiment.key)

    return view


@_on_experiment
def start(request: HttpRequest, experiment: Experiment) -> str:
    change_status(experiment_id=experiment.pk, to=Status.ACTIVE, now=timezone.now(), from_status=Status.DRAFT)
    return _("Started: it takes events and decides from now on.")


@_on_experiment
def pause(request: HttpRequest, experiment: Experiment) -> str:
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=timezone.now())
    return _("Paused: the last split stays in force; events are still taken.")


@_on_experiment
def resume(request: HttpRequest, experiment: Experiment) -> str:
    change_status(
        experiment_id=experiment.pk, to=Status.ACTIVE, now=timezone.now(), from_status=Status.PAUSED
    )
    return _("Resumed: the split is decided anew from the data.")


@_on_experiment
def complete(request: HttpRequest, experiment: Experiment) -> str:
    """The winner is one of the experiment's variants, chosen in the dialog."""
    chosen = request.POST.get("winner", "")
    if not (chosen.isascii() and chosen.isdigit()):
        raise InvalidError([Issue("winner", "required", _("choose the variant that gets all traffic"))])
    winner = find_variant(experiment, int(chosen))
    complete_experiment(
        experiment_id=experiment.pk, target_date=today(), now=timezone.now(), winner_id=winner.pk
    )
    return _("Completed: %(winner)s gets all traffic.") % {"winner": winner.name}


@_on_experiment
def recompute(request: HttpRequest, experiment: Experiment) -> str:
    _allocation, is_new = compute_or_find(
        experiment_id=experiment.pk, target_date=today(), now=timezone.now()
    )
    if is_new:
        return _("Decided anew from the data of this moment.")
    return _("Nothing has changed since the last decision; it stands.")


@require_POST
@requires(Role.ADMIN)
def load_demo(request: HttpRequest) -> HttpResponse:
    """Only into an empty installation: invented data have no place among real ones."""
    with transaction.atomic():
        if Experiment.objects.exists():
            messages.error(
                request, _("There are experiments already; demo data go into an empty installation.")
            )
        else:
            seed_demo(today=today(), now=timezone.now(), seed=_DEMO_SEED)
    return redirect("dashboard:experiments")
