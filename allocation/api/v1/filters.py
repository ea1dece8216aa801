"""What the ledger can be narrowed by."""

from typing import ClassVar

import django_filters as filters
from django.db.models import QuerySet

from allocation.models import Allocation
from experiments.api.filters import DayFilter, StrictFilterSet


class AllocationFilter(StrictFilterSet):
    start_date = DayFilter(field_name="target_date", lookup_expr="gte")
    end_date = DayFilter(field_name="target_date", lookup_expr="lte", help_text="This day included.")
    latest = filters.BooleanFilter(method="by_latest", help_text="true: only the last revision of each date.")

    class Meta:
        model = Allocation
        fields: ClassVar[list[str]] = ["kind", "state"]

    def by_latest(self, queryset: QuerySet[Allocation], name: str, value: bool) -> QuerySet[Allocation]:
        return queryset.filter(pk__in=Allocation.objects.last_revisions().values("pk")) if value else queryset
