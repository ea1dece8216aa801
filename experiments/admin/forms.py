"""What an operator fills in."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from experiments.ingestion.validation import count_issues
from experiments.metrics import DailyCounts
from experiments.models import DailyMetric
from experiments.selectors import today

COUNTS = ("impressions", "clicks", "conversions")


class CorrectionForm(forms.ModelForm[DailyMetric]):
    """A day's counts, and why they change; refused in the words of the API."""

    reason = forms.CharField(max_length=300, help_text=_("Kept in the experiment's history with your name."))

    class Meta:
        model = DailyMetric
        fields = COUNTS

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.keys() >= set(COUNTS):
            counts = [int(given[name]) for name in COUNTS]
            row = DailyCounts(self.instance.date, self.instance.variant.key, *counts)
            for issue in count_issues(row, today()):
                self.add_error(
                    issue.field if issue.field in self.fields else None, ValidationError(issue.message)
                )
        return given
