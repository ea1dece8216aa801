"""What lists can be narrowed by."""

from typing import ClassVar

import django_filters as filters
from django.db.models import QuerySet

from experiments.models import DailyMetric, Experiment


class StrictFilterSet(filters.FilterSet):
    """Refuses a blank value and a boolean that is none, which the library takes for no filter at all."""

    def is_valid(self) -> bool:
        valid: bool = super().is_valid()
        for name, wanted in self.filters.items():
            given = (self.data or {}).get(name)
            if given == "":
                self.form.add_error(name, "May not be blank.")
            elif given is not None and isinstance(wanted, filters.BooleanFilter) and given not in _BOOLEANS:
                self.form.add_error(name, "Must be true or false.")
        return valid and not self.form.errors


_BOOLEANS = {"true", "false"}


class ExperimentFilter(StrictFilterSet):
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


class MetricFilter(StrictFilterSet):
    start_date = filters.DateFilter(field_name="date", lookup_expr="gte")
    end_date = filters.DateFilter(field_name="date", lookup_expr="lte", help_text="This day included.")
    variant = filters.CharFilter(method="by_variant", help_text="A variant's name or key.")

    class Meta:
        model = DailyMetric
        fields: ClassVar[list[str]] = []

    def by_variant(self, queryset: QuerySet[DailyMetric], name: str, value: str) -> QuerySet[DailyMetric]:
        return queryset.filter(variant__name=value) | queryset.filter(variant__key=value)
