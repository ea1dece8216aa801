"""Forms of the admin."""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from experiments.ingestion.validation import count_issues
from experiments.metrics import COUNT_NAMES, DailyCounts
from experiments.models import DailyMetric
from experiments.number_fields import WholeNumberField
from experiments.selectors import today


class CorrectionForm(forms.ModelForm[DailyMetric]):
    """A day's counts and the reason for the change; checked as the API checks them."""

    reason = forms.CharField(max_length=300, help_text=_("Kept in the experiment's history with your name."))

    class Meta:
        model = DailyMetric
        fields = COUNT_NAMES
        field_classes: ClassVar[dict[str, type[forms.Field]]] = dict.fromkeys(COUNT_NAMES, WholeNumberField)

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.keys() >= set(COUNT_NAMES):
            counts = [int(given[name]) for name in COUNT_NAMES]
            row = DailyCounts(self.instance.date, self.instance.variant.key, *counts)
            for issue in count_issues(row, today()):
                self.add_error(
                    issue.field if issue.field in self.fields else None, ValidationError(issue.message)
                )
        return given
