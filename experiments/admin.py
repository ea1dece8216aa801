"""For operators: look at and correct what was observed. Decisions are made by the services alone."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from experiments.models import DailyMetric, Experiment, Variant
from experiments.services import update_experiment


class VariantInline(admin.TabularInline[Variant, Experiment]):
    """To look at: renaming and retiring have rules of their own, which the API keeps."""

    model = Variant
    extra = 0
    fields = readonly_fields = ("name", "key", "is_control", "is_active")
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Experiment)
class ExperimentAdmin(admin.ModelAdmin[Experiment]):
    list_display = ("name", "key", "status", "reward", "variant_count", "created_at")
    list_filter = ("status", "reward")
    search_fields = ("name", "key", "description")
    readonly_fields = ("key", "status", "reward", "winner", "data_version", "created_at", "updated_at")
    inlines = (VariantInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Experiment]:
        return super().get_queryset(request).annotate(variant_total=Count("variants"))

    @admin.display(description="Variants", ordering="variant_total")
    def variant_count(self, experiment: Experiment) -> int:
        total: int = experiment.variant_total  # type: ignore[attr-defined]  # annotated above
        return total

    def save_model(self, request: HttpRequest, obj: Experiment, form: Any, change: bool) -> None:
        """The same way as the API's: one service, which counts the change."""
        own = obj.own_settings()
        update_experiment(
            experiment_id=obj.pk, now=timezone.now(), settings=own, name=obj.name, description=obj.description
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # made through the API, which chooses the key


@admin.register(DailyMetric)
class DailyMetricAdmin(admin.ModelAdmin[DailyMetric]):
    list_display = ("date", "experiment", "variant", "impressions", "clicks", "conversions")
    list_select_related = ("variant__experiment",)
    list_filter = ("variant__experiment",)
    date_hierarchy = "date"
    search_fields = ("variant__name", "variant__experiment__name")

    @admin.display(ordering="variant__experiment__name")
    def experiment(self, metric: DailyMetric) -> Experiment:
        return metric.variant.experiment

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # new days come through record_events

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a day is corrected by posting it again
