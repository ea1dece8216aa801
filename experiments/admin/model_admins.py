"""For operators: look at and correct what was observed. Decisions are made by the services alone."""

from typing import Any

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext as _
from import_export.admin import ImportExportMixin
from import_export.formats.base_formats import CSV
from simple_history.admin import SimpleHistoryAdmin

from experiments.admin.date_hierarchy import CalendarQuerySet
from experiments.admin.forms import COUNTS, CorrectionForm
from experiments.admin.imports import DailyMetricResource
from experiments.admin.lists import MetricExperimentFilter, TellsRefusals, act_on_each
from experiments.ingestion.manual_edits import correct_day
from experiments.models import DailyMetric, Experiment, Status, Variant
from experiments.selectors import today
from experiments.services import change_status, update_experiment
from experiments.tables.export import many_download
from experiments.variants import add_variant, change_variant

# The library's history pages style a line of theirs inline; the policy gives way there and nowhere else.
_styled = method_decorator(csp_update({"style-src": [SELF, UNSAFE_INLINE]}))


class VariantInline(admin.TabularInline[Variant, Experiment]):
    """Added, renamed and retired as through the API; data keep a variant from being deleted."""

    model = Variant
    extra = 0
    fields = ("name", "key", "is_control", "is_active")
    readonly_fields = ("key", "is_control")
    can_delete = False


@admin.register(Experiment)
class ExperimentAdmin(TellsRefusals, SimpleHistoryAdmin):  # type: ignore[misc]  # the library is untyped
    list_display = ("name", "key", "status", "reward", "variant_count", "created_at", "pages")
    list_filter = ("status", "reward")
    search_fields = ("name", "key", "description")
    readonly_fields = (
        "key", "status", "reward", "winner", "daily_rows", "data_version", "created_at", "updated_at",
    )  # fmt: skip
    inlines = (VariantInline,)
    actions: tuple[str, ...] = ("pause", "export_csv")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Experiment]:
        of_each = Variant.objects.filter(experiment=OuterRef("pk")).order_by().values("experiment")
        total = Subquery(of_each.annotate(n=Count("pk")).values("n"))
        found: QuerySet[Experiment] = super().get_queryset(request)
        return found.select_related("winner").annotate(variant_total=Coalesce(total, 0))

    @admin.display(description="Variants", ordering="variant_total")
    def variant_count(self, experiment: Experiment) -> int:
        total: int = experiment.variant_total  # type: ignore[attr-defined]  # annotated above
        return total

    @admin.display(description="Dashboard")
    def pages(self, experiment: Experiment) -> str:
        return format_html('<a href="{}">{}</a>', self.view_on_site(experiment), _("Open"))

    @admin.display(description="Daily metrics")
    def daily_rows(self, experiment: Experiment) -> str:
        url = reverse("admin:experiments_dailymetric_changelist")
        return format_html('<a href="{}?experiment={}">{}</a>', url, experiment.key, _("Look and correct"))

    def view_on_site(self, experiment: Experiment) -> str:
        return reverse("dashboard:overview", args=[experiment.key])

    def save_model(self, request: HttpRequest, obj: Experiment, form: Any, change: bool) -> None:
        """The same way as the API's: one service, which counts the change."""
        own = obj.own_settings()
        update_experiment(
            experiment_id=obj.pk, now=timezone.now(), settings=own, name=obj.name, description=obj.description
        )

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        formset.save(commit=False)
        for variant in formset.new_objects:
            add_variant(experiment_id=form.instance.pk, name=variant.name, now=timezone.now())
        for variant, changed in formset.changed_objects:
            values = {name: getattr(variant, name) for name in changed}
            change_variant(
                experiment_id=form.instance.pk, variant_id=variant.pk, now=timezone.now(), **values
            )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # made through the API, which chooses the key

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # takes all its data and decisions along: the API's, with an admin key

    @admin.action(permissions=["change"], description="Pause")
    def pause(self, request: HttpRequest, queryset: QuerySet[Experiment]) -> None:
        def act(experiment: Experiment) -> str:
            change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=timezone.now())
            return _("Paused: the last split stays in force; events are still taken.")

        act_on_each(request, queryset, act)

    @admin.action(permissions=["view"], description="Export daily metrics as CSV")
    def export_csv(self, request: HttpRequest, queryset: QuerySet[Experiment]) -> HttpResponseBase:
        return many_download(DailyMetric.objects.filter(variant__experiment__in=queryset.values("pk")))

    @_styled
    def history_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answer: HttpResponse = super().history_view(request, *args, **kwargs)
        return answer

    @_styled
    def history_form_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answer: HttpResponse = super().history_form_view(request, *args, **kwargs)
        return answer


@admin.register(DailyMetric)
class DailyMetricAdmin(TellsRefusals, ImportExportMixin, admin.ModelAdmin[DailyMetric]):  # type: ignore[misc]
    """Days come in by the API or a CSV; here a wrong one is corrected, with a reason."""

    form = CorrectionForm
    fields = ("experiment", "variant", "date", "impressions", "clicks", "conversions", "reason")
    readonly_fields = ("experiment", "variant", "date")
    list_display = ("date", "experiment", "variant", "impressions", "clicks", "conversions")
    list_select_related = ("variant__experiment",)
    list_filter = (MetricExperimentFilter, "date")
    date_hierarchy = "date"
    ordering = ("-date", "-variant_id")
    show_full_result_count = False
    resource_classes = (DailyMetricResource,)
    formats = (CSV,)
    # The daily rows' history is the experiment's, where the import leaves its line.
    skip_admin_log = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[DailyMetric]:
        return CalendarQuerySet(DailyMetric).order_by(*self.ordering)

    @admin.display(ordering="variant__experiment__name")
    def experiment(self, metric: DailyMetric) -> str:
        url = reverse("admin:experiments_experiment_change", args=[metric.variant.experiment_id])
        return format_html('<a href="{}">{}</a>', url, metric.variant.experiment)

    def save_model(self, request: HttpRequest, obj: DailyMetric, form: Any, change: bool) -> None:
        given = {name: form.cleaned_data[name] for name in (*COUNTS, "reason")}
        correct_day(metric_id=obj.pk, today=today(), now=timezone.now(), **given)

    def export_action(self, request: HttpRequest) -> HttpResponseBase:
        """The listed rows as they are filtered, streamed; the import takes the file as it is."""
        if not self.has_export_permission(request):
            return HttpResponse(status=403)
        return many_download(self.get_export_queryset(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # new days come through record_events

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a day is corrected, never unmade
