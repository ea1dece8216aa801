"""Filters of the API's lists."""

import datetime as dt
from typing import Any, ClassVar

import django_filters as filters
from django import forms
from django.db.models import QuerySet
from django_filters.fields import IsoDateTimeField
from drf_spectacular.utils import extend_schema_field

from experiments.campaign.models import Guard, Note
from experiments.models import DailyMetric, Experiment, Variant
from experiments.text import parse_date

_BOOLEANS = {"true", "false"}
# The ends of a span of days or moments, where a list has such filters.
_SPANS = (("start_date", "end_date"), ("created_after", "created_before"))
# Every list takes these besides its own filters; format is the framework's own.
_OF_EVERY_LIST = {"page", "page_size", "ordering", "search", "format"}


def reversed_span(start: str, end: str) -> dict[str, str]:
    """Name both ends of a span that ends before it starts."""
    return {start: f"Must not be after {end}.", end: f"Must not be before {start}."}


class _DayField(forms.DateField):
    def to_python(self, value: Any) -> dt.date | None:
        if value and parse_date(str(value)) is None:
            raise forms.ValidationError("Must be a date such as 2025-08-14.", code="invalid")
        return super().to_python(value)


class _MomentField(IsoDateTimeField):
    def to_python(self, value: Any) -> dt.datetime | None:
        """Convert to UTC, as the databases compare it; near the calendar's ends a moment of another zone has no year
        there.
        """
        try:
            moment: dt.datetime | None = super().to_python(value)
            return moment and moment.astimezone(dt.UTC)
        except OverflowError as error:
            raise forms.ValidationError("Must lie in the years 1 to 9999, in UTC.", code="invalid") from error


class DayFilter(filters.DateFilter):
    """A calendar day as 2025-08-14 and in no other way."""

    field_class = _DayField


@extend_schema_field({"type": "string", "minLength": 1, "pattern": r"^[^\u0000]+$"})
class WordFilter(filters.CharFilter):
    """Text that is there: a blank filter is refused."""


class MomentFilter(filters.IsoDateTimeFilter):
    """A moment of the calendar, in ISO 8601."""

    field_class = _MomentField


class StrictFilterSet(filters.FilterSet):
    """A filter set that refuses unknown names, blank values and malformed booleans; the library ignores them."""

    def is_valid(self) -> bool:
        for field in self.form.fields.values():
            if isinstance(field, forms.ChoiceField):
                choices: Any = field.choices
                known = ", ".join(str(value) for value, _label in choices if value)
                field.error_messages["invalid_choice"] = (
                    f"%(value)s is not a valid choice; must be one of {known}."
                )
        valid: bool = super().is_valid()
        for name, wanted in self.filters.items():
            given = (self.data or {}).get(name)
            if given == "":
                self.form.add_error(name, forms.ValidationError("May not be blank.", code="blank"))
            elif given is not None and isinstance(wanted, filters.BooleanFilter) and given not in _BOOLEANS:
                self.form.add_error(name, forms.ValidationError("Must be true or false.", code="invalid"))
        for span in _SPANS:
            start, end = (getattr(self.form, "cleaned_data", {}).get(name) for name in span)
            if start and end and start > end:
                for name, said in reversed_span(*span).items():
                    self.form.add_error(name, forms.ValidationError(said, code="reversed"))
        for name in set(self.data or {}) - set(self.filters) - _OF_EVERY_LIST:
            known = ", ".join([*self.filters, *sorted(_OF_EVERY_LIST)])
            problem = forms.ValidationError(f"Unknown; a list takes {known}.", code="unknown_parameter")
            self.form.errors[name[:100]] = self.form.error_class([problem])
        return valid and not self.form.errors


class ExperimentFilter(StrictFilterSet):
    archived = filters.BooleanFilter(
        method="by_archived", help_text="true: the archived ones; else the others."
    )
    owner = WordFilter()
    tag = WordFilter(method="by_tag", help_text="One of the experiment's tags.")
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Experiment
        fields: ClassVar[list[str]] = ["status", "reward"]

    def by_archived(self, queryset: QuerySet[Experiment], name: str, value: bool) -> QuerySet[Experiment]:
        return queryset.filter(archived_at__isnull=not value)

    def by_tag(self, queryset: QuerySet[Experiment], name: str, value: str) -> QuerySet[Experiment]:
        return queryset.filter(pk__in=Experiment.objects.tagged(value).values("pk"))


class VariantFilter(StrictFilterSet):
    class Meta:
        model = Variant
        fields: ClassVar[list[str]] = ["is_active", "is_control"]


class NoteFilter(StrictFilterSet):
    start_date = DayFilter(field_name="date", lookup_expr="gte")
    end_date = DayFilter(field_name="date", lookup_expr="lte", help_text="This day included.")

    class Meta:
        model = Note
        fields: ClassVar[list[str]] = []


class GuardFilter(StrictFilterSet):
    class Meta:
        model = Guard
        fields: ClassVar[list[str]] = ["metric", "action"]


class MetricFilter(StrictFilterSet):
    start_date = DayFilter(field_name="date", lookup_expr="gte")
    end_date = DayFilter(field_name="date", lookup_expr="lte", help_text="This day included.")
    variant = WordFilter(method="by_variant", help_text="A variant's name or key.")

    class Meta:
        model = DailyMetric
        fields: ClassVar[list[str]] = []

    def by_variant(self, queryset: QuerySet[DailyMetric], name: str, value: str) -> QuerySet[DailyMetric]:
        return queryset.filter(variant__name=value) | queryset.filter(variant__key=value)
