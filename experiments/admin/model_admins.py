"""Admin pages of experiments, variants and daily metrics, where operators look at observations and correct them."""

import datetime as dt
from typing import Any, TypedDict

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_stubs_ext import WithAnnotations
from simple_history.admin import SimpleHistoryAdmin

from experiments.admin.date_hierarchy import CalendarQuerySet
from experiments.admin.forms import CorrectionForm, ExperimentForm
from experiments.admin.lists import MetricExperimentFilter, ServiceAdmin, TagFilter, act_on_each
from experiments.audit.words import reason_in_words
from experiments.campaign.models import CAMPAIGN_FIELDS, Guard, Note
from experiments.campaign.watch import add_guard, add_note, change_guard, delete_guard, delete_note
from experiments.exceptions import ExperimentNotFoundError
from experiments.ingestion.manual_edits import set_day
from experiments.metrics import MEASURE_NAMES, DailyCounts, DayTotals
from experiments.models import DailyMetric, Experiment, Status, Variant
from experiments.selectors import find_experiment, today
from experiments.services import change_status, update_experiment
from experiments.tables.export import many_download
from experiments.variants import add_variant, change_variant

# The library's history pages have an inline style; the policy allows it there alone.
_styled = method_decorator(csp_update({"style-src": [SELF, UNSAFE_INLINE]}))


class VariantInline(admin.TabularInline[Variant, Experiment]):
    """Variants are added, renamed and retired as through the API; those with data cannot be deleted."""

    model = Variant
    extra = 0
    fields = ("name", "key", "is_control", "is_active")
    readonly_fields = ("key", "is_control")
    can_delete = False


class NoteInline(admin.TabularInline[Note, Experiment]):
    """Notes are written and deleted, never changed: they are signed."""

    model = Note
    extra = 0
    fields = ("date", "text", "author")
    readonly_fields = ("author",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class GuardInline(admin.TabularInline[Guard, Experiment]):
    model = Guard
    extra = 0
    fields = ("metric", "max_fall", "action")


class _Counted(TypedDict):
    """Annotations of ExperimentAdmin.get_queryset."""

    variant_total: int


@admin.register(Experiment)
class ExperimentAdmin(ServiceAdmin[Experiment], SimpleHistoryAdmin):  # type: ignore[misc]  # the library is untyped
    form = ExperimentForm
    list_display = (
        "name",
        "key",
        "status",
        "reward",
        "owner",
        "tags",
        "variant_count",
        "created_at",
        "pages",
    )
    list_filter = ("status", "reward", TagFilter)
    search_fields = ("name", "key", "description", "owner", "tags")
    readonly_fields = (
        "key", "status", "reward", "winner", "decision_reason", "daily_rows", "data_version", "created_at",
        "updated_at",
    )  # fmt: skip
    inlines = (VariantInline, GuardInline, NoteInline)
    actions: tuple[str, ...] = ("pause", "export_csv")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Experiment]:
        of_each = Variant.objects.filter(experiment=OuterRef("pk")).order_by().values("experiment")
        total = Subquery(of_each.annotate(n=Count("pk")).values("n"))
        found: QuerySet[Experiment] = super().get_queryset(request)
        return found.select_related("winner").annotate(variant_total=Coalesce(total, 0))

    @admin.display(description=gettext_lazy("Variants"), ordering="variant_total")
    def variant_count(self, experiment: "WithAnnotations[Experiment, _Counted]") -> int:
        return experiment.variant_total

    @admin.display(description=gettext_lazy("Dashboard"))
    def pages(self, experiment: Experiment) -> str:
        return format_html('<a href="{}">{}</a>', self.view_on_site(experiment), _("Open"))

    @admin.display(description=gettext_lazy("Daily totals"))
    def daily_rows(self, experiment: Experiment) -> str:
        url = reverse("admin:experiments_dailymetric_changelist")
        return format_html('<a href="{}?experiment={}">{}</a>', url, experiment.key, _("Look and correct"))

    def view_on_site(self, experiment: Experiment) -> str:
        return reverse("dashboard:results", args=[experiment.key])

    def save_model(self, request: HttpRequest, obj: Experiment, form: Any, change: bool) -> None:
        """Save through the API's own service, which also raises the data version."""
        own = obj.own_settings()
        fields = {name: getattr(obj, name) for name in ("name", "description", *CAMPAIGN_FIELDS)}
        update_experiment(experiment_id=obj.pk, now=timezone.now(), settings=own, **fields)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        formset.save(commit=False)
        now = timezone.now()
        for new in formset.new_objects:
            _add(form.instance, new, now)
        for changed, names in formset.changed_objects:
            _change(form.instance, changed, {name: getattr(changed, name) for name in names}, now)
        for deleted in formset.deleted_objects:
            _delete(form.instance, deleted, now)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # the API creates them and chooses the key

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # deletes all data and decisions too: only by the API, with an admin key

    @admin.action(permissions=["change"], description=gettext_lazy("Pause"))
    def pause(self, request: HttpRequest, queryset: QuerySet[Experiment]) -> None:
        def act(experiment: Experiment) -> str:
            change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=timezone.now())
            return _("Paused. Traffic stays as it is; data is still accepted.")

        act_on_each(request, queryset, act)

    @admin.action(permissions=["view"], description=gettext_lazy("Export daily totals as CSV"))
    def export_csv(self, request: HttpRequest, queryset: QuerySet[Experiment]) -> HttpResponseBase:
        return many_download(DailyMetric.objects.filter(variant__experiment__in=queryset.values("pk")))

    @_styled
    def history_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answer: HttpResponse = super().history_view(request, *args, **kwargs)
        return answer

    def set_history_delta_changes(
        self, request: HttpRequest, records: Any, *args: Any, **kwargs: Any
    ) -> None:
        """Show coded reasons as sentences; the records are only looked at."""
        super().set_history_delta_changes(request, records, *args, **kwargs)
        for record in records:
            record.history_change_reason = reason_in_words(record.history_change_reason)

    @_styled
    def history_form_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answer: HttpResponse = super().history_form_view(request, *args, **kwargs)
        return answer


def _add(experiment: Experiment, new: Variant | Guard | Note, now: dt.datetime) -> None:
    if isinstance(new, Variant):
        add_variant(experiment_id=experiment.pk, name=new.name, now=now)
    elif isinstance(new, Guard):
        add_guard(
            experiment_id=experiment.pk, metric=new.metric, max_fall=new.max_fall, action=new.action, now=now
        )
    else:
        add_note(experiment_id=experiment.pk, date=new.date, text=new.text, now=now)


def _change(
    experiment: Experiment, changed: Variant | Guard, values: dict[str, Any], now: dt.datetime
) -> None:
    if isinstance(changed, Variant):
        change_variant(experiment_id=experiment.pk, variant_id=changed.pk, now=now, **values)
    else:
        change_guard(experiment=experiment, guard_id=changed.pk, now=now, **values)


def _delete(experiment: Experiment, deleted: Guard | Note, now: dt.datetime) -> None:
    if isinstance(deleted, Guard):
        delete_guard(experiment=experiment, guard_id=deleted.pk, now=now)
    else:
        delete_note(experiment=experiment, note_id=deleted.pk)


@admin.register(DailyMetric)
class DailyMetricAdmin(ServiceAdmin[DailyMetric]):
    """Days come in by the API or by a CSV on the dashboard; here a wrong day is corrected, with a reason."""

    form = CorrectionForm
    fields = ("experiment", "variant", "date", *MEASURE_NAMES, "reason")
    readonly_fields = ("experiment", "variant", "date")
    list_display = ("date", "experiment", "variant", *MEASURE_NAMES)
    list_select_related = ("variant__experiment",)
    list_filter = (MetricExperimentFilter, "date")
    date_hierarchy = "date"
    ordering = ("-date", "-variant_id")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[DailyMetric]:
        return CalendarQuerySet(DailyMetric).order_by(*self.ordering)

    @admin.display(ordering="variant__experiment__name", description=gettext_lazy("experiment"))
    def experiment(self, metric: DailyMetric) -> str:
        url = reverse("admin:experiments_experiment_change", args=[metric.variant.experiment_id])
        return format_html('<a href="{}">{}</a>', url, metric.variant.experiment)

    def save_model(self, request: HttpRequest, obj: DailyMetric, form: Any, change: bool) -> None:
        given = form.cleaned_data
        # by its key: the name may belong to another variant by now
        row = DailyCounts(obj.date, obj.variant.key, *(given[name] for name in MEASURE_NAMES))
        set_day(
            experiment_id=obj.variant.experiment_id,
            rows=[row],
            today=today(),
            now=timezone.now(),
            shown=[DayTotals(*(form.initial[name] for name in MEASURE_NAMES))],
            source="admin",
            reason=given["reason"],
        )

    def get_urls(self) -> list[URLPattern]:
        export = path(
            "export/", self.admin_site.admin_view(self.export), name="experiments_dailymetric_export"
        )
        return [export, *super().get_urls()]

    def export(self, request: HttpRequest) -> HttpResponseBase:
        """Stream the listed rows as they are filtered, as a file that the dashboard's upload takes."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            listed = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return redirect("admin:experiments_dailymetric_changelist")
        return many_download(listed.get_queryset(request))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        reference = request.GET.get(MetricExperimentFilter.parameter_name, "")
        more = {"upload_url": self.has_change_permission(request) and _upload_url(reference)}
        return super().changelist_view(request, {**(extra_context or {}), **more})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # new days come through record_events

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a day is corrected, never deleted


def _upload_url(reference: str) -> str:
    """Return the dashboard's upload for the experiment that the list is narrowed to, else the list of experiments."""
    try:
        return reverse("dashboard:upload", args=[find_experiment(reference).key])
    except ExperimentNotFoundError:
        return reverse("dashboard:experiments")
