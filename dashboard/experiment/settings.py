"""The settings tab: what an experiment is, its variants, and how traffic may move."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from allocation.unjudged import rivals_of
from dashboard.access import requires
from dashboard.charts import variant_colours
from dashboard.experiment.actions import OFFER_RECOMPUTE, closed_reason, error_text, on_experiment
from dashboard.experiment.summary import Summary, experiment_or_404
from dashboard.experiment.tabs import tab_context
from dashboard.posts.post_only import post_only
from dashboard.settings.campaign import campaign_in_words
from dashboard.settings.forms import ExperimentForm, VariantForm, version_token
from dashboard.settings.guards import GuardForm, guard_rows
from dashboard.settings.labels import values_in_force
from dashboard.settings.preview import limits_of
from dashboard.settings.proposal import with_proposal
from experiments import variants as services
from experiments.campaign import watch
from experiments.exceptions import ChangedMeanwhileError, DomainError, InvalidError, StatusConflictError
from experiments.models import Experiment, Status, Variant
from experiments.roles import Role
from experiments.selectors import today
from experiments.services import update_experiment

_HERE = "dashboard:settings"
# Each variant brings two forms and a dialog.
_VARIANTS_PER_PAGE = 20


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Role.VIEWER, to_post=Role.ANALYST)
def settings(request: HttpRequest, reference: str) -> HttpResponse:
    experiment = experiment_or_404(reference, today())
    if request.method != "POST":
        return _page(request, experiment)
    form = ExperimentForm.of(experiment, request.POST)
    if form.is_valid() and _update(experiment, form):
        return _back_with(request, experiment, _("Saved. Used from the next update on."))
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
            **form.changed_campaign(),
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
    shown = _variants_page(variants, request.GET.get("variants"), refused.pk if refused else None)
    context = tab_context(experiment, "settings", today())
    summary = context["summary"]
    shares = {s.variant_id: s for s in summary.allocation.shares.all()} if summary.allocation else {}
    context |= {
        "form": form,
        "closed": closed_reason(experiment),
        "is_draft": experiment.status == Status.DRAFT,
        "can_archive": experiment.status != Status.ACTIVE and not experiment.archived_at,
        "rows": [
            (
                variant,
                colours[variant.pk],
                refused if refused and refused.pk == variant.pk else _rename_form(variant),
                shares.get(variant.pk),
            )
            for variant in shown
        ],
        "variants_page": shown,
        "leader_id": _ahead(summary),
        "guards": guard_rows(experiment, filled.get("guard")),
        "new_guard": filled.get("new_guard") or GuardForm(prefix="new-guard"),
        "new_variant": filled.get("new_variant") or VariantForm(prefix="new"),
        "limits": limits_of(form, sum(variant.is_active for variant in variants)),
        "in_force": values_in_force(experiment),
        "campaign": campaign_in_words(experiment),
    }
    return render(request, "dashboard/settings/settings.html", context)


def _ahead(summary: Summary) -> int | None:
    """Name the leader, unless another is as likely to be the best, or those with too little data are likelier."""
    shares = summary.allocation.shares.all() if summary.allocation else ()
    if summary.leader is None or rivals_of(shares):
        return None
    chances = [round(share.probability_best or 0.0, 3) for share in shares if not share.missing_trials]
    return summary.leader.variant_id if chances.count(max(chances)) == 1 else None


def _variants_page(variants: list[Variant], number: Any, pk: int | None) -> "Page[Variant]":
    """Take a page of the variants: of the one with this ``pk``, else the page that is asked for."""
    places = {variant.pk: place for place, variant in enumerate(variants)}
    if pk in places:
        number = places[pk] // _VARIANTS_PER_PAGE + 1
    return Paginator(variants, _VARIANTS_PER_PAGE).get_page(number)


@post_only(_HERE, "reference")
@requires(Role.ANALYST)
def add_guard(request: HttpRequest, reference: str) -> HttpResponse:
    experiment = experiment_or_404(reference, today())
    form = GuardForm(request.POST, prefix="new-guard")
    if form.is_valid() and _saved(
        form, lambda: watch.add_guard(experiment_id=experiment.pk, **form.values())
    ):
        messages.success(request, _("Guard added."))
        return redirect(_HERE, reference=experiment.key)
    return _page(request, experiment, new_guard=form)


@post_only(_HERE, "reference")
@requires(Role.ANALYST)
def change_guard(request: HttpRequest, reference: str, guard_id: int) -> HttpResponse:
    experiment = experiment_or_404(reference, today())
    form = GuardForm(request.POST, prefix=f"guard-{guard_id}")

    def save() -> object:
        return watch.change_guard(experiment=experiment, guard_id=guard_id, **form.values())

    if form.is_valid() and _saved(form, save):
        messages.success(request, _("Guard changed."))
        return redirect(_HERE, reference=experiment.key)
    return _page(request, experiment, guard=(guard_id, form))


def _saved(form: GuardForm, save: Callable[[], object]) -> bool:
    try:
        save()
    except InvalidError as error:
        for issue in error.issues:
            form.add_error(issue.field if issue.field in form.fields else None, issue.message)
    except DomainError as error:
        form.add_error(None, error_text(error))
    return form.is_valid()


@on_experiment(back=_HERE)
def delete_guard(request: HttpRequest, experiment: Experiment, guard_id: int) -> str:
    watch.delete_guard(experiment=experiment, guard_id=guard_id, now=timezone.now())
    return _("Guard removed.")


class _RenameForm(VariantForm):
    """One variant's new name."""

    def __init__(self, data: Any = None, *, pk: int, name: str = "") -> None:
        super().__init__(data, prefix=f"variant-{pk}", initial={"name": name})
        self.pk = pk
        self.fields["name"].required = True


def _rename_form(variant: Any) -> _RenameForm:
    return _RenameForm(pk=variant.pk, name=variant.name)


@post_only(_HERE, "reference")
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


@post_only(_HERE, "reference")
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
def retire_variant(request: HttpRequest, experiment: Experiment, variant_id: int) -> HttpResponse:
    changed = _change(experiment, variant_id, is_active=False)
    said = _("Deactivated %(name)s. Its data stays; its traffic goes to the others at the next update.")
    return _back_with(request, experiment, said % {"name": changed})


@on_experiment(back=_HERE)
def bring_back_variant(request: HttpRequest, experiment: Experiment, variant_id: int) -> HttpResponse:
    changed = _change(experiment, variant_id, is_active=True)
    said = _(
        "Reactivated %(name)s. It gets traffic from the next update on, within the maximum daily change."
    )
    return _back_with(request, experiment, said % {"name": changed})


def _back_with(request: HttpRequest, experiment: Experiment, said: str) -> HttpResponse:
    """Say what was changed, beside the button that updates the allocation."""
    messages.success(request, said, extra_tags=OFFER_RECOMPUTE)
    return redirect(_HERE, reference=experiment.key)


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
