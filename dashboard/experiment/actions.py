"""Buttons of an experiment's pages: each calls one service and leads back to its page."""

from collections.abc import Callable

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from allocation.campaigns.guards import resume_after_guard
from allocation.demo import seed_demo
from allocation.services import compute_allocation
from dashboard.access import View, requires
from dashboard.experiment.summary import experiment_or_404
from dashboard.posts.post_only import post_only
from experiments.exceptions import DomainError, InvalidError, Issue
from experiments.models import Experiment, Status
from experiments.roles import Role
from experiments.selectors import today
from experiments.services import archive_experiment, change_status, delete_experiment, duplicate_experiment

_DEMO_SEED = 7
_FEWEST_VARIANTS = 2
# A message with a button that updates the allocation: templates/_message.html.
OFFER_RECOMPUTE = "offer-recompute"


Act = Callable[..., str | HttpResponse]


def on_experiment(*, back: str = "dashboard:results", needed: Role = Role.ANALYST) -> Callable[[Act], View]:
    """Turn an act into a view of a POST on one experiment; what the service refuses is shown on the page.

    The act answers what to say, then the visitor goes ``back``; or it answers where to go instead.
    """

    def decorate(act: Act) -> View:
        @post_only(back, "reference")
        @requires(needed)
        def view(request: HttpRequest, reference: str, **place: int) -> HttpResponse:
            experiment = experiment_or_404(reference, today())
            try:
                answer = act(request, experiment, **place)
            except DomainError as error:
                messages.error(request, error_text(error))
            else:
                if isinstance(answer, HttpResponse):
                    return answer
                messages.success(request, answer)
            return redirect(back, reference=experiment.key)

        return view

    return decorate


def error_text(error: DomainError) -> str:
    """Write an error for a page, which shows the field in its own way."""
    return "; ".join(i.message for i in error.issues) if isinstance(error, InvalidError) else str(error)


def closed_reason(experiment: Experiment) -> str:
    """Why an experiment takes no changes; empty while it does."""
    if experiment.archived_at:
        return _("Archived. Restore it to make changes.")
    if experiment.status == Status.COMPLETED:
        return _("Ended: data, variants and settings are locked.")
    return ""


@on_experiment()
def start(request: HttpRequest, experiment: Experiment) -> str:
    """Start a draft of two variants at least: fewer are no comparison."""
    if sum(variant.is_active for variant in experiment.variants.all()) < _FEWEST_VARIANTS:
        message = _("Add at least two variants first, under Settings.")
        raise InvalidError([Issue("variants", "too_few", message)])
    change_status(experiment_id=experiment.pk, to=Status.ACTIVE, now=timezone.now(), from_status=Status.DRAFT)
    return _("Started. It now accepts data and updates traffic daily.")


@on_experiment()
def pause(request: HttpRequest, experiment: Experiment) -> str:
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=timezone.now())
    return _("Paused. Traffic stays as it is; data is still accepted.")


@on_experiment()
def resume(request: HttpRequest, experiment: Experiment) -> str:
    change_status(
        experiment_id=experiment.pk, to=Status.ACTIVE, now=timezone.now(), from_status=Status.PAUSED
    )
    return _("Resumed. Allocation updated.")


@on_experiment()
def resume_guarded(request: HttpRequest, experiment: Experiment) -> str:
    resume_after_guard(experiment_id=experiment.pk, target_date=today(), now=timezone.now())
    return _("Resumed. Traffic follows the results again; guards count from today on.")


@on_experiment()
def recompute(request: HttpRequest, experiment: Experiment) -> str:
    now = timezone.now()
    entry = compute_allocation(experiment_id=experiment.pk, target_date=timezone.localdate(now), now=now)
    return entry.outcome


@on_experiment(back="dashboard:settings")
def duplicate(request: HttpRequest, experiment: Experiment) -> HttpResponse:
    made = duplicate_experiment(experiment_id=experiment.pk, now=timezone.now())
    messages.success(request, _("Copied as a draft: same variants and settings, no data."))
    return redirect("dashboard:settings", reference=made.key)


@on_experiment(back="dashboard:settings")
def archive(request: HttpRequest, experiment: Experiment) -> str:
    archive_experiment(experiment_id=experiment.pk, now=timezone.now())
    return _("Archived. You can restore it at any time.")


@on_experiment(back="dashboard:settings")
def unarchive(request: HttpRequest, experiment: Experiment) -> str:
    archive_experiment(experiment_id=experiment.pk, now=timezone.now(), archived=False)
    return _("Restored.")


@on_experiment(back="dashboard:settings", needed=Role.ADMIN)
def delete(request: HttpRequest, experiment: Experiment) -> HttpResponse:
    delete_experiment(experiment_id=experiment.pk)
    messages.success(
        request, _("Deleted %(name)s with all its data and decisions.") % {"name": experiment.name}
    )
    return redirect("dashboard:experiments")


@post_only("dashboard:experiments")
@requires(Role.ADMIN)
def load_demo(request: HttpRequest) -> HttpResponse:
    """Load demo data into an empty installation only: invented data has no place among real ones."""
    with transaction.atomic():
        if Experiment.objects.exists():
            messages.error(
                request, _("There are experiments already; demo data go into an empty installation.")
            )
        else:
            seed_demo(today=today(), now=timezone.now(), seed=_DEMO_SEED)
    return redirect("dashboard:experiments")
