"""The form of a day's counts: parsed once, here; services decide what is allowed."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.stale_check import StaleCheckMixin
from experiments.exceptions import InvalidError, InvalidRowsError
from experiments.metrics import COUNT_NAMES, COUNTS, Count, Counts, DailyCounts
from experiments.models import Variant
from experiments.number_fields import CountField
from experiments.tables.rows import KINDS

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
        stored: Mapping[int, Counts[int]],
        date: dt.date | None,
        suggested: dt.date | None = None,
    ) -> None:
        """Make fields for all variants.

        ``date`` is the day that is edited, None for a new one (``suggested``); ``stored`` its counts by variant.
        """
        self.variants, self.stored, self.day = variants, stored, date
        self.form_id = f"day-form-{date.isoformat() if date else 'new'}"
        initial = {"date": date or suggested, "seen": version_token(stored)}
        super().__init__(data, initial=initial, auto_id=f"{self.form_id}-%s")
        for name in ("date", "seen"):
            self.fields[name].widget.attrs["form"] = self.form_id
        if date is not None:
            self.fields["date"].widget = forms.HiddenInput(attrs={"form": self.form_id})
        for variant in variants:
            for count, before in zip(COUNTS, stored.get(variant.pk, (None,) * len(COUNTS)), strict=True):
                self.fields[f"{count.name}-{variant.pk}"] = self._count_field(variant, count, before)

    def _count_field(self, variant: Variant, count: Count, before: int | None) -> CountField:
        label = f"{count.label}, {variant.name}"
        attributes = {
            "class": "form-control count-input",
            "form": self.form_id,
            "aria-label": label,
            "inputmode": "numeric",
            "data-count": count.name,
        }
        widget = forms.TextInput(attrs=attributes)
        return CountField(kind=KINDS[count.name], required=False, label=label, initial=before, widget=widget)

    def rows(self) -> list[tuple[Variant, list[tuple[str, forms.BoundField]]]]:
        """List each variant with its fields, each with the label of its column."""
        return [(v, [(str(c.label), self[f"{c.name}-{v.pk}"]) for c in COUNTS]) for v in self.variants]

    def clean(self) -> dict[str, Any]:
        for variant in self.variants:
            if self._is_given(variant) or variant.pk in self.stored:
                for name in _REQUIRED:
                    field = f"{name}-{variant.pk}"
                    if self.cleaned_data.get(field) is None and field not in self.errors:
                        self.add_error(field, _("Give a number; 0 if there were none."))
        if not self.errors and not self._given():
            self.add_error(None, _("Give the counts of at least one variant."))
        return self.cleaned_data

    def _is_given(self, variant: Variant) -> bool:
        return any(
            self.cleaned_data.get(f"{name}-{variant.pk}") is not None or f"{name}-{variant.pk}" in self.errors
            for name in COUNT_NAMES
        )

    def _given(self) -> list[Variant]:
        return [variant for variant in self.variants if self._is_given(variant)]

    def counts(self) -> list[DailyCounts]:
        return [
            DailyCounts(
                self.cleaned_data["date"],
                variant.name,
                *(self.cleaned_data[f"{name}-{variant.pk}"] or 0 for name in COUNT_NAMES),
            )
            for variant in self._given()
        ]

    def shown(self) -> list[Counts[int] | None] | None:
        """List what the page showed of each of counts(), in that order; None where the form does not say."""
        try:
            stored = json.loads(self.cleaned_data["seen"])
            return [Counts(*found) if (found := stored.get(str(v.pk))) else None for v in self._given()]
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


def version_token(stored: Mapping[int, Counts[int]]) -> str:
    return json.dumps(stored)
