"""Forms of the admin."""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from experiments.campaign.models import tags_text
from experiments.ingestion.validation import count_issues
from experiments.metrics import MEASURE_NAMES, MEASURES, DailyCounts, DayTotals, Kind
from experiments.models import DailyMetric, Experiment, Variant
from experiments.selectors import today
from experiments.settings_schema import ALGORITHM_SETTINGS
from experiments.tables.number_fields import AmountField, SquaresField, WholeNumberField

_FIELDS: dict[Kind, type[forms.Field]] = {
    Kind.WHOLE: WholeNumberField,
    Kind.AMOUNT: AmountField,
    Kind.SQUARES: SquaresField,
}


# Django's own says "Unknown" where a setting follows the installation.
_SWITCH = (("unknown", _("Default")), ("true", _("Yes")), ("false", _("No")))


# The words of the Settings page: what the models say is for programs, which know fields by their names.
_HELP = {
    "value_cap": _("Single values above it count as this much, for every variant. Blank: no cap."),
    "fixed_variants": _("Data of a variant that is not known yet is refused instead of adding it."),
    "tags": _("Words with a space between them."),
    "starts_at": _("A draft starts by itself then."),
    "on_end_variant": _("For “A chosen variant gets all traffic”."),
    "complete_when_decided": _(
        "The leader then gets all traffic, unless traffic does not match or a guard warns."
    ),
}


class CorrectionForm(forms.ModelForm[DailyMetric]):
    """A day's counts and the reason for the change; checked as the API checks them."""

    reason = forms.CharField(
        label=_("Reason"), max_length=300, help_text=_("Kept in the experiment's history with your name.")
    )

    class Meta:
        model = DailyMetric
        fields = MEASURE_NAMES
        field_classes: ClassVar[dict[str, type[forms.Field]]] = {
            measure.name: _FIELDS[measure.kind] for measure in MEASURES
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for measure in MEASURES:
            if measure.optional and measure.name in self.fields:  # who may only look gets none
                self.fields[measure.name].required = False

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        for measure in MEASURES:
            if measure.optional and given.get(measure.name, 0) is None:
                given[measure.name] = measure.zero
        if given.keys() >= set(MEASURE_NAMES):
            totals = DayTotals(*(given[name] for name in MEASURE_NAMES))
            row = DailyCounts(self.instance.date, self.instance.variant.key, *totals)
            for issue in count_issues(row, today()):
                self.add_error(
                    issue.field if issue.field in self.fields else None, ValidationError(issue.message)
                )
        return given


class ExperimentForm(forms.ModelForm[Experiment]):
    """An experiment; only its own variants may get all traffic at its end."""

    class Meta:
        model = Experiment
        fields = "__all__"
        field_classes: ClassVar[dict[str, type[forms.Field]]] = {"value_cap": AmountField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in _HELP.keys() & self.fields.keys():
            self.fields[name].help_text = _HELP[name]
        if "on_end" in self.fields:
            self.fields["on_end"].help_text = ""  # its label says it
        for name in ALGORITHM_SETTINGS.keys() & self.fields.keys():
            setting, field = ALGORITHM_SETTINGS[name], self.fields[name]
            field.help_text = setting.help
            if setting.is_switch:
                field.widget.choices = _SWITCH
        chosen = self.fields.get("on_end_variant")
        if isinstance(chosen, forms.ModelChoiceField):
            chosen.queryset = Variant.objects.filter(experiment=self.instance.pk)

    def clean_tags(self) -> str:
        return tags_text(self.cleaned_data["tags"].split())
