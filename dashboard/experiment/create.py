"""A new experiment, and what its limits mean while it is filled in."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.access import requires
from dashboard.settings.forms import ExperimentForm, SettingsForm, VariantFormSet, Variants
from dashboard.settings.preview import limits_of
from dashboard.settings.proposal import with_proposal
from experiments.exceptions import InvalidError
from experiments.metrics import Reward
from experiments.models import Experiment, Status
from experiments.roles import Role
from experiments.services import create_experiment
from experiments.variants import CONTROL_NAME

_FEWEST_VARIANTS = 2


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Role.ANALYST)
def new(request: HttpRequest) -> HttpResponse:
    """Save a draft, or start at once; what is refused is shown beside its field."""
    if request.method != "POST":
        first = [{"name": CONTROL_NAME}, {"name": "variant_b"}]
        return _page(request, with_proposal(ExperimentForm.new(), request.GET), VariantFormSet(initial=first))
    if "more" in request.POST:
        return _with_another_row(request)
    form, variants = ExperimentForm.new(request.POST), VariantFormSet(request.POST)
    # both are checked, so that all problems are shown at once
    are_valid = all([form.is_valid(), variants.is_valid()])
    if "start" in request.POST:
        _refuse_start(form, variants)
    status = Status.ACTIVE if "start" in request.POST else Status.DRAFT
    made = _create(form, variants, status) if are_valid and form.is_valid() else None
    if made is None:
        return _page(request, form, variants)
    if made.status == Status.ACTIVE:
        messages.success(request, _("Started. Add the first day here, or send data through the API."))
        return redirect("dashboard:data", reference=made.key)
    messages.success(request, _("Saved as a draft. Start it when everything is ready."))
    return redirect("dashboard:settings", reference=made.key)


def _refuse_start(form: ExperimentForm, variants: Variants) -> None:
    """Say why an experiment that may be saved cannot be started now."""
    if variants.is_valid() and len(variants.names()) < _FEWEST_VARIANTS:
        form.add_error(None, _("Name at least two variants to start, or save it as a draft."))
    form.refuse_late_start(timezone.now())


def _create(form: ExperimentForm, variants: Variants, status: Status) -> Experiment | None:
    details = form.details()
    try:
        return create_experiment(
            name=details["name"],
            description=details["description"],
            reward=Reward(details["reward"]),
            status=status,
            variants=variants.names(),
            control=variants.control_name(),
            settings=form.own_settings(),
            campaign=form.changed_campaign(),
            now=timezone.now(),
        )
    except InvalidError as error:
        form.add_errors(InvalidError(variants.add_errors(error)))
        return None


def _with_another_row(request: HttpRequest) -> HttpResponse:
    """Render the page, where there are no scripts, with all that was filled in and one row more."""
    bound = VariantFormSet(request.POST)
    variants = VariantFormSet(initial=[*({"name": form["name"].value()} for form in bound.forms), {}])
    variants.chosen = bound.control
    return _page(request, ExperimentForm.new(initial=request.POST.dict()), variants)


def _page(request: HttpRequest, form: ExperimentForm, variants: Variants) -> HttpResponse:
    context = {
        "section": "experiments",
        "form": form,
        "variants": variants,
        "limits": limits_of(form, variants.named),
    }
    return render(request, "dashboard/settings/new.html", context)


@require_safe
@requires(Role.VIEWER)
def limits(request: HttpRequest) -> HttpResponse:
    """Show what the settings in the query mean: the card beside the form, while a person types."""
    form = SettingsForm(request.GET)
    count = request.GET.get("variants", "")
    number = int(count) if count.isascii() and count.isdigit() and len(count) < 4 else 0
    context = {"limits": limits_of(form, number), "form": form}
    return render(request, "dashboard/settings/_limits.html", context)
