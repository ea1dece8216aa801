"""The ledger, to look at: append-only, so nothing here can be changed. And what is decided about an experiment."""

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from allocation.campaigns.guards import resume_after_guard
from allocation.ledger.reasons import in_words
from allocation.models import Allocation, AllocationShare
from allocation.services import complete_experiment, compute_allocation
from experiments.admin.date_hierarchy import CalendarQuerySet
from experiments.admin.labels import name_in_admin
from experiments.admin.lists import ExperimentFilter, ReadOnly, act_on_each
from experiments.admin.model_admins import ExperimentAdmin
from experiments.campaign.models import REASON_LENGTH
from experiments.models import Experiment
from experiments.selectors import today
from experiments.settings_schema import ALGORITHM_SETTINGS
from experiments.text import format_number, format_percent

# One request decides so many; the rest is the command's.
_MOST_AT_ONCE = 100


name_in_admin(
    Allocation,
    gettext_lazy("decision"),
    gettext_lazy("decision log"),
    {
        "experiment": gettext_lazy("experiment"),
        "target_date": gettext_lazy("date"),
        "revision": gettext_lazy("version"),
        "kind": gettext_lazy("type"),
        "state": gettext_lazy("state"),
        "reason": gettext_lazy("reason"),
        "window_start": gettext_lazy("lookback window from"),
        "window_end": gettext_lazy("lookback window to"),
        "data_through": gettext_lazy("data up to"),
        "window_impressions": gettext_lazy("impressions in the window"),
        "window_clicks": gettext_lazy("clicks in the window"),
        "value_remaining": gettext_lazy("potential improvement left"),
        "harms": gettext_lazy("metrics that a guard found harmed"),
        "engine_version": gettext_lazy("version of the engine"),
        "inputs_digest": gettext_lazy("input hash"),
        "created_at": gettext_lazy("computed at"),
    },
)
name_in_admin(
    AllocationShare,
    gettext_lazy("traffic share"),
    gettext_lazy("traffic shares"),
    {
        "variant": gettext_lazy("variant"),
        "trials": gettext_lazy("trials"),
        "successes": gettext_lazy("successes"),
        "value_sum": gettext_lazy("sum of values"),
        "bound": gettext_lazy("limited by"),
    },
)


class ShareInline(ReadOnly, admin.TabularInline[AllocationShare, Allocation]):
    model = AllocationShare
    fields = (
        "variant", "percent", "before", "trials", "successes", "value_sum", "rate_between", "chance", "loss", "aim",
        "bound",
    )  # fmt: skip
    readonly_fields = ("percent", "before", "rate_between", "chance", "loss", "aim")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AllocationShare]:
        return super().get_queryset(request).select_related("variant")

    @admin.display(description=gettext_lazy("Traffic share"))
    def percent(self, share: AllocationShare) -> str:
        return _percent(share.share)

    @admin.display(description=gettext_lazy("Share the day before"))
    def before(self, share: AllocationShare) -> str:
        return _percent(share.previous_share)

    @admin.display(description=gettext_lazy("Estimated rate (95% interval)"))
    def rate_between(self, share: AllocationShare) -> str:
        if share.rate is None or share.missing_trials:
            return _("Not enough data") if share.missing_trials else "-"
        rate, low, high = (_rate(share, number) for number in (share.rate, share.rate_low, share.rate_high))
        return f"{rate} ({low} - {high})"

    @admin.display(description=gettext_lazy("Probability to be best"))
    def chance(self, share: AllocationShare) -> str:
        return _percent(None if share.missing_trials else share.probability_best)

    @admin.display(description=gettext_lazy("Expected loss"))
    def loss(self, share: AllocationShare) -> str:
        return _rate(share, None if share.missing_trials else share.expected_loss)

    @admin.display(description=gettext_lazy("Target share before limits"))
    def aim(self, share: AllocationShare) -> str:
        return _percent(share.target)


@admin.register(Allocation)
class AllocationAdmin(ReadOnly, admin.ModelAdmin[Allocation]):
    list_display = ("target_date", "experiment", "revision", "kind", "state", "why", "created_at")
    list_select_related = ("experiment",)
    list_filter = (ExperimentFilter, "kind", "state")
    date_hierarchy = "target_date"
    ordering = ("-target_date", "-id")
    show_full_result_count = False
    inlines = (ShareInline,)
    fields = (
        "experiment", "target_date", "revision", "kind", "state", "why", "window_start", "window_end",
        "data_through", "window_impressions", "window_clicks", "potential", "harms", "engine_version",
        "inputs_digest", "settings_used", "everything_given", "created_at",
    )  # fmt: skip
    readonly_fields = ("why", "potential", "settings_used", "everything_given")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Allocation]:
        found = CalendarQuerySet(Allocation).order_by(*self.ordering)
        return (
            found
            if request.resolver_match and "object_id" in request.resolver_match.kwargs
            else found.defer("inputs", "packed_inputs")
        )

    @admin.display(description=gettext_lazy("reason"), ordering="reason")
    def why(self, allocation: Allocation) -> str:
        return in_words(allocation.reason)

    @admin.display(description=gettext_lazy("potential improvement left"))
    def potential(self, allocation: Allocation) -> str:
        return _percent(allocation.value_remaining)

    @admin.display(description=gettext_lazy("Settings used"))
    def settings_used(self, allocation: Allocation) -> str:
        """Name the settings as forms do; those that earlier engines had, as they are recorded."""
        settings = allocation.recorded_inputs.get("settings", {})
        shown = (f"{_setting_label(name)}: {_setting(value)}" for name, value in sorted(settings.items()))
        return "; ".join(shown)

    @admin.display(description=gettext_lazy("All that the decision was given"))
    def everything_given(self, allocation: Allocation) -> str:
        """A line for each day and variant, not for each number."""
        lines = json.dumps(allocation.recorded_inputs, sort_keys=True).replace("], [", "],\n  [")
        return format_html("<pre>{}</pre>", lines)

    def view_on_site(self, allocation: Allocation) -> str:
        return reverse("dashboard:traffic", args=[allocation.experiment.key])


admin.site.unregister(Experiment)


class _ReasonForm(ActionForm):
    """Asks, beside the action, why experiments are completed."""

    decision_reason = forms.CharField(
        required=False, max_length=REASON_LENGTH, label=gettext_lazy("Reason, if you end them")
    )


@admin.register(Experiment)
class DecidedExperimentAdmin(ExperimentAdmin):
    """Adds the actions on an experiment that compute allocations."""

    action_form = _ReasonForm
    actions = ("recompute", *ExperimentAdmin.actions, "resume", "complete")

    @admin.action(permissions=["change"], description=gettext_lazy("Update allocation"))
    def recompute(self, request: HttpRequest, queryset: QuerySet[Experiment]) -> None:
        def act(experiment: Experiment) -> str:
            now = timezone.now()
            date = timezone.localdate(now)
            return compute_allocation(experiment_id=experiment.pk, target_date=date, now=now).outcome

        self._act(request, queryset, act)

    @admin.action(
        permissions=["change"], description=gettext_lazy("Resume after a guard gave the control all traffic")
    )
    def resume(self, request: HttpRequest, queryset: QuerySet[Experiment]) -> None:
        def act(experiment: Experiment) -> str:
            resume_after_guard(experiment_id=experiment.pk, target_date=today(), now=timezone.now())
            return _("Resumed. Traffic follows the results again; guards count from today on.")

        self._act(request, queryset, act)

    @admin.action(
        permissions=["change"],
        description=gettext_lazy("End: the control gets all traffic (choose a winner on the dashboard)"),
    )
    def complete(self, request: HttpRequest, queryset: QuerySet[Experiment]) -> None:
        reason = request.POST.get("decision_reason", "").strip()[:REASON_LENGTH]

        def act(experiment: Experiment) -> str:
            complete_experiment(
                experiment_id=experiment.pk,
                target_date=today(),
                now=timezone.now(),
                decision_reason=reason,
            )
            return _("Ended.")

        self._act(request, queryset, act)

    def _act(self, request: HttpRequest, queryset: QuerySet[Experiment], act: Any) -> None:
        if queryset.count() > _MOST_AT_ONCE:
            words = _("At most %(most)d at once; manage.py allocate --all takes any number.")
            messages.error(request, words % {"most": _MOST_AT_ONCE})
            return
        act_on_each(request, queryset, act)


def _setting_label(name: str) -> str:
    return str(ALGORITHM_SETTINGS[name].label) if name in ALGORITHM_SETTINGS else name


def _setting(value: Any) -> str:
    """Write a recorded setting as people do; one that is learned from the data has no value."""
    if isinstance(value, bool):
        return _("on") if value else _("off")
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _rate(share: AllocationShare, number: float | None) -> str:
    """Write a rate; where the goal is a value, a value per trial."""
    return _percent(number) if share.value_sum is None or number is None else format_number(number, 4)


def _percent(fraction: Any) -> str:
    return "-" if fraction is None else format_percent(float(fraction), 2)
