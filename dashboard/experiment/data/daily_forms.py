"""The form of a day's counts: parsed once, here; services decide what is allowed."""

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.stale_check import StaleCheckMixin
from experiments.exceptions import InvalidError, InvalidRowsError
from experiments.metrics import COUNTS, VALUE_PLACES, DailyCounts, DayTotals, Kind, Measure, Number
from experiments.models import Variant
from experiments.tables.number_fields import AmountField, CountField, SquaresField
from experiments.tables.rows import KINDS

_FIELDS: dict[Kind, Callable[..., forms.Field]] = {
    Kind.WHOLE: CountField,
    Kind.AMOUNT: partial(AmountField, decimal_places=VALUE_PLACES),
    Kind.SQUARES: SquaresField,
}
_REQUIRED = [count.name for count in COUNTS if not count.optional]


class DayForm(StaleCheckMixin):
    """One day's counts of every variant. A variant left blank has nothing to report."""

    date = forms.DateField(
        label=gettext_lazy("Day"),
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"class": "form-control", "type": "date"}),
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        variants: Sequence[Variant],
        stored: Mapping[int, DayTotals],
        measures: Sequence[Measure] = COUNTS,
        needs_value: bool = False,
        date: dt.date | None,
        suggested: dt.date | None = None,
    ) -> None:
        """Make fields for all variants.

        ``date`` is the day that is edited, None for a new one (``suggested``); ``stored`` its totals by variant;
        ``measures`` what the form asks for, the counts at least; ``needs_value``: the goal is one.
        """
        self.variants, self.stored, self.day = variants, stored, date
        self.measures, self.needs_value = measures, needs_value
        self.form_id = f"day-form-{date.isoformat() if date else 'new'}"
        initial = {"date": date or suggested, "seen": version_token(stored)}
        super().__init__(data, initial=initial, auto_id=f"{self.form_id}-%s")
        for name in ("date", "seen"):
            self.fields[name].widget.attrs["form"] = self.form_id
        if date is not None:
            self.fields["date"].widget = forms.HiddenInput(attrs={"form": self.form_id})
        for variant in variants:
            for measure in measures:
                before = getattr(stored.get(variant.pk), measure.name, None)
                self.fields[f"{measure.name}-{variant.pk}"] = self._field(variant, measure, before)

    def _field(self, variant: Variant, measure: Measure, before: Number | None) -> forms.Field:
        label = f"{measure.label}, {variant.name}"
        attributes = {
            "class": "form-control count-input",
            "form": self.form_id,
            "aria-label": label,
            "inputmode": "numeric" if measure.kind is Kind.WHOLE else "decimal",
            "data-count": measure.name,
        }
        widget = forms.TextInput(attrs=attributes)
        field = _FIELDS[measure.kind]
        options = {"kind": KINDS[measure.name]} if measure.kind is Kind.WHOLE else {}
        return field(required=False, label=label, initial=before, widget=widget, **options)

    def rows(self) -> list[tuple[Variant, list[tuple[str, forms.BoundField]]]]:
        """List each variant with its fields, each with the label of its column."""
        return [(v, [(str(m.label), self[f"{m.name}-{v.pk}"]) for m in self.measures]) for v in self.variants]

    def clean(self) -> dict[str, Any]:
        for variant in self.variants:
            if self._is_given(variant) or variant.pk in self.stored:
                for name in _REQUIRED:
                    field = f"{name}-{variant.pk}"
                    if self.cleaned_data.get(field) is None and field not in self.errors:
                        self.add_error(field, _("Give a number; 0 if there were none."))
                self._refuse_blank_value(variant)
        if not self.errors and not self._given():
            self.add_error(None, _("Give the counts of at least one variant."))
        return self.cleaned_data

    def _refuse_blank_value(self, variant: Variant) -> None:
        """Refuse a blank value where the goal is one, or where one is stored: a blank is not 0."""
        for measure in self.measures:
            field = f"{measure.name}-{variant.pk}"
            stored = getattr(self.stored.get(variant.pk), measure.name, 0)
            is_blank = self.cleaned_data.get(field) is None and field not in self.errors
            if measure.kind is Kind.AMOUNT and is_blank and (self.needs_value or stored):
                self.add_error(field, _("Enter an amount (0 if none)."))

    def _is_given(self, variant: Variant) -> bool:
        return any(
            self.cleaned_data.get(f"{m.name}-{variant.pk}") is not None
            or f"{m.name}-{variant.pk}" in self.errors
            for m in self.measures
        )

    def _given(self) -> list[Variant]:
        return [variant for variant in self.variants if self._is_given(variant)]

    def counts(self) -> list[DailyCounts]:
        return [self._row(variant) for variant in self._given()]

    def _row(self, variant: Variant) -> DailyCounts:
        given: dict[str, Any] = {m.name: self.cleaned_data[f"{m.name}-{variant.pk}"] for m in self.measures}
        filled: dict[str, Any] = {m.name: given[m.name] or m.zero for m in self.measures}
        return DailyCounts(self.cleaned_data["date"], variant.name, **filled)

    def shown(self) -> list[DayTotals | None] | None:
        """List what the page showed of each of counts(), in that order; None where the form does not say."""
        try:
            stored = json.loads(self.cleaned_data["seen"])
            return [_totals(stored.get(str(v.pk))) for v in self._given()]
        except (ValueError, TypeError, AttributeError):
            return None

    def add_errors(self, error: InvalidError) -> None:
        """Show what the service refuses beside its field; rows come in the order of counts()."""
        issues: dict[tuple[str | None, str], None] = {}
        given = self._given()
        if isinstance(error, InvalidRowsError):
            for index, issue in error.row_issues:
                name = f"{issue.field}-{given[index].pk}"
                issues[name if name in self.fields else "date", issue.message] = None
        else:
            issues = {(i.field if i.field in self.fields else None, i.message): None for i in error.issues}
        for field, message in issues:
            self.add_error(field, message)


def version_token(stored: Mapping[int, DayTotals]) -> str:
    return json.dumps(stored, default=str)


def _totals(shown: Sequence[Any] | None) -> DayTotals | None:
    """Read the totals of one variant from a version token."""
    if not shown:
        return None
    impressions, clicks, conversions, value_sum, value_squares = shown
    return DayTotals(impressions, clicks, conversions, Decimal(value_sum), value_squares)
