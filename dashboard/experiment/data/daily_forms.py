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

from dashboard.formatting import format_date
from dashboard.posts.stale_check import StaleCheckMixin
from experiments.exceptions import InvalidError, InvalidRowsError, Issue
from experiments.ingestion.validation import EARLIEST_DATE, count_issues
from experiments.metrics import COUNTS, VALUE_PLACES, DailyCounts, DayTotals, Kind, Measure, Number
from experiments.models import Variant
from experiments.selectors import today
from experiments.tables.importing.rows import KINDS
from experiments.tables.number_fields import AmountField, CountField, SquaresField
from experiments.text import format_number

_FIELDS: dict[Kind, Callable[..., forms.Field]] = {
    Kind.WHOLE: CountField,
    Kind.AMOUNT: partial(AmountField, decimal_places=VALUE_PLACES),
    Kind.SQUARES: SquaresField,
}
_HIGHEST = {measure.name: measure.highest for measure in COUNTS}
# Problems of a single number or of the date, whatever the others are.
_OF_ONE_NUMBER = {"out_of_range", "too_precise", "too_early", "in_future"}
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
        self._check_numbers()
        return self.cleaned_data

    def _refuse_blank_value(self, variant: Variant) -> None:
        """Refuse a blank value where the goal is one, or where one is stored: a blank is not 0."""
        for measure in self.measures:
            field = f"{measure.name}-{variant.pk}"
            stored = getattr(self.stored.get(variant.pk), measure.name, 0)
            is_blank = self.cleaned_data.get(field) is None and field not in self.errors
            if measure.kind is Kind.AMOUNT and is_blank and (self.needs_value or stored):
                self.add_error(field, _("Enter an amount (0 if none)."))

    def _check_numbers(self) -> None:
        """Show what the service would refuse beside what is missing: all problems in one round."""
        now = today()
        date = self.cleaned_data.get("date") or now
        for variant in self._given():
            # beside a number that is missing, only what is wrong by itself is known
            lacks = any(f"{m.name}-{variant.pk}" in self.errors for m in self.measures)
            for issue in count_issues(self._row(variant, date), now):
                name = f"{issue.field}-{variant.pk}"
                if lacks and (issue.code not in _OF_ONE_NUMBER or name in self.errors):
                    continue
                message = _said(issue, date, now)
                if name in self.fields:
                    self.add_error(name, message)
                elif message not in self.errors.get("date", []):
                    self.add_error("date", message)
        self._refuse_tomorrow(date, now)

    def _refuse_tomorrow(self, date: dt.date, now: dt.date) -> None:
        """Refuse a new day that has not begun: of a person it is a slip, of programs the day of a time zone ahead."""
        said = _said(Issue("date", "in_future", ""), date, now)
        if self.day is None and date > now and said not in self.errors.get("date", []):
            self.add_error("date", said)

    def _is_given(self, variant: Variant) -> bool:
        return any(
            self.cleaned_data.get(f"{m.name}-{variant.pk}") is not None
            or f"{m.name}-{variant.pk}" in self.errors
            for m in self.measures
        )

    def _given(self) -> list[Variant]:
        return [variant for variant in self.variants if self._is_given(variant)]

    def counts(self) -> list[DailyCounts]:
        return [self._row(variant, self.cleaned_data["date"]) for variant in self._given()]

    def _row(self, variant: Variant, date: dt.date) -> DailyCounts:
        given: dict[str, Any] = {
            m.name: self.cleaned_data.get(f"{m.name}-{variant.pk}") for m in self.measures
        }
        filled: dict[str, Any] = {m.name: given[m.name] or m.zero for m in self.measures}
        return DailyCounts(date, variant.name, **filled)

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
        given, date = self._given(), self.cleaned_data.get("date")
        if isinstance(error, InvalidRowsError):
            for index, issue in error.row_issues:
                name = f"{issue.field}-{given[index].pk}"
                issues[name if name in self.fields else "date", issue.message] = None
        else:
            issues = {
                (i.field if i.field in self.fields else None, self._written(i, date)): None
                for i in error.issues
            }
        for field, message in issues:
            self.add_error(field, message)

    def _written(self, issue: Issue, date: dt.date | None) -> str:
        """Write the date as the page does."""
        if issue.code != "taken" or date is None:
            return issue.message
        return _("There is data for %(date)s already.") % {"date": format_date(date)}


def _said(issue: Issue, date: dt.date, now: dt.date) -> str:
    """Write a problem with its dates and numbers as the page does."""
    if issue.code == "in_future":
        said = _("%(date)s lies in the future; today is %(today)s")
        return said % {"date": format_date(date), "today": format_date(now)}
    if issue.code == "too_early":
        said = _("%(date)s is before %(earliest)s")
        return said % {"date": format_date(date), "earliest": format_date(EARLIEST_DATE)}
    if issue.code == "out_of_range" and issue.field in _HIGHEST:
        return _("Must be from 0 to %(highest)s") % {"highest": format_number(_HIGHEST[issue.field], 0)}
    return issue.message


def version_token(stored: Mapping[int, DayTotals]) -> str:
    return json.dumps(stored, default=str)


def _totals(shown: Sequence[Any] | None) -> DayTotals | None:
    """Read the totals of one variant from a version token."""
    if not shown:
        return None
    impressions, clicks, conversions, value_sum, value_squares = shown
    return DayTotals(impressions, clicks, conversions, Decimal(value_sum), value_squares)
