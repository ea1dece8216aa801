"""The settings tab: what an experiment is, its variants, and how traffic may move."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.access import requires
from dashboard.charts import variant_colours
from dashboard.experiment.actions import closed_reason, error_text, on_experiment
from dashboard.experiment.summary import experiment_or_404
from dashboard.experiment.tabs import tab_context
from dashboard.settings.forms import ExperimentForm, VariantForm, version_token
from dashboard.settings.labels import values_in_force
from dashboard.settings.preview import limits_of
from dashboard.settings.proposal import with_proposal
from experiments import variants as services
from experiments.exceptions import ChangedMeanwhileError, DomainError, InvalidError, StatusConflictError
from experiments.models import Experiment, Status
from experiments.roles import Role
from experiments.selectors import today
from experiments.services import update_experiment

_HERE = "dashboard:settings"


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Role.VIEWER, to_post=Role.ANALYST)
def settings(request: HttpRequest, reference: str) -> HttpResponse:
    experiment = experiment_or_404(reference, today())
    if request.method != "POST":
        return _page(request, experiment)
    form = ExperimentForm.of(experiment, request.POST)
    if form.is_valid() and _update(experiment, form):
        messages.success(request, _("Saved. The next decision follows these settings."))
        return redirect(_HERE, reference=experiment.key)
    return _page(request, experiment, form=form)


def _update(experiment: Experiment, form: ExperimentForm) -> bool:
    try:
        if not experiment.is_open:
            raise StatusConflictError(closed_reason(experiment))
        update_experiment(
            experiment_id=experiment.pk,
            now=timezone.now(),
            settings=form.own_settings(),
            unchanged_since=form.unchanged_since(),
            **form.details(),
        )
    except InvalidError as error:
        form.add_errors(error)
    except ChangedMeanwhileError as error:
        experiment.refresh_from_db()
        form.accept_current(version_token(experiment))
        form.add_error(None, str(error))
    except DomainError as error:
        form.add_error(None, str(error))
    return form.is_valid()


def _page(request: HttpRequest, experiment: Experiment, **filled: Any) -> HttpResponse:
    """Render the tab; ``filled`` is the form, the new variant or the renamed one that was refused."""
    form = filled.get("form") or with_proposal(ExperimentForm.of(experiment), request.GET)
    variants = list(experiment.variants.all())
    colours, refused = variant_colours(variants), filled.get("renamed")
    context = tab_context(experiment, "settings", today()) | {
        "form": form,
        "closed": closed_reason(experiment),
        "is_draft": experiment.status == Status.DRAFT,
        "can_archive": experiment.status != Status.ACTIVE and not experiment.archived_at,
        "rows": [
            (
                variant,
                colours[variant.pk],
                refused if refused and refused.pk == variant.pk else _rename_form(variant),
            )
            for variant in variants
        ],
        "new_variant": filled.get("new_variant") or VariantForm(prefix="new"),
        "limits": limits_of(form, sum(variant.is_active for variant in variants)),
        "in_force": values_in_force(experiment),
    }
    return render(request, "dashboard/settings/settings.html", context)


class _RenameForm(VariantForm):
    """One variant's new name."""

    def __init__(self, data: Any = None, *, pk: int, name: str = "") -> None:
        super().__init__(data, prefix=f"variant-{pk}", initial={"name": name})
        self.pk = pk
        self.fields["name"].required = True


def _rename_form(variant: Any) -> _RenameForm:
    return _RenameForm(pk=variant.pk, name=variant.name)


@require_POST
@requires(Role.ANALYST)
def add_variant(request: HttpRequest, reference: str) -> HttpResponse:
    experiment = experiment_or_404(reference, today())
    form = VariantForm(request.POST, prefix="new")
    form.fields["name"].required = True
    if form.is_valid():
        try:
            services.add_variant(
                experiment_id=experiment.pk, name=form.cleaned_data["name"], now=timezone.now()
            )
        except DomainError as error:
            form.add_error("name", error_text(error))
        else:
            messages.success(request, _("Added %(name)s.") % {"name": form.cleaned_data["name"]})
            return redirect(_HERE, reference=experiment.key)
    return _page(request, experiment, new_variant=form)


@require_POST
@requires(Role.ANALYST)
def rename_variant(request: HttpRequest, reference: str, variant_id: int) -> HttpResponse:
    experiment = experiment_or_404(reference, today())
    form = _RenameForm(request.POST, pk=variant_id)
    if form.is_valid():
        try:
            services.change_variant(
                experiment_id=experiment.pk,
                variant_id=variant_id,
                name=form.cleaned_data["name"],
                now=timezone.now(),
            )
        except DomainError as error:
            form.add_error("name", error_text(error))
        else:
            messages.success(request, _("Renamed to %(name)s.") % {"name": form.cleaned_data["name"]})
            return redirect(_HERE, reference=experiment.key)
    return _page(request, experiment, renamed=form)


@on_experiment(back=_HERE)
def retire_variant(request: HttpRequest, experiment: Experiment, variant_id: int) -> str:
    changed = _change(experiment, variant_id, is_active=False)
    return _("Retired %(name)s: its data stays, its traffic goes to the others.") % {"name": changed}


@on_experiment(back=_HERE)
def bring_back_variant(request: HttpRequest, experiment: Experiment, variant_id: int) -> str:
    changed = _change(experiment, variant_id, is_active=True)
    return _("Brought back %(name)s: it starts from a share of 0.") % {"name": changed}


@on_experiment(back=_HERE)
def make_control(request: HttpRequest, experiment: Experiment, variant_id: int) -> str:
    return _("%(name)s is the control now.") % {"name": _change(experiment, variant_id, is_control=True)}


def _change(
    experiment: Experiment, variant_id: int, is_active: bool | None = None, is_control: bool | None = None
) -> str:
    return services.change_variant(
        experiment_id=experiment.pk,
        variant_id=variant_id,
        is_active=is_active,
        is_control=is_control,
        now=timezone.now(),
    ).name
