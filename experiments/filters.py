"""What lists can be narrowed by."""

from typing import ClassVar

import django_filters as filters
from django.db.models import QuerySet

from experiments.models import DailyMetric, Experiment


class ExperimentFilter(filters.FilterSet):
    archived = filters.BooleanFilter(
        method="by_archived", help_text="true: the archived ones; else the others."
    )
    created_after = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Experiment
        fields: ClassVar[list[str]] = ["status", "reward"]

    def by_archived(self, queryset: QuerySet[Experiment], name: str, value: bool) -> QuerySet[Experiment]:
        return queryset.filter(archived_at__isnull=not value)


class MetricFilter(filters.FilterSet):
    start_date = filters.DateFilter(field_name="date", lookup_expr="gte")
    end_date = filters.DateFilter(field_name="date", lookup_expr="lte", help_text="This day included.")
    variant = filters.CharFilter(method="by_variant", help_text="A variant's name or key.")

    class Meta:
        model = DailyMetric
        fields: ClassVar[list[str]] = []

    def by_variant(self, queryset: QuerySet[DailyMetric], name: str, value: str) -> QuerySet[DailyMetric]:
        return queryset.filter(variant__name=value) | queryset.filter(variant__key=value)
