"""Forms of an experiment and its settings: parsed once, here; services decide what is allowed."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.posts.stale_check import StaleCheckMixin
from dashboard.settings.campaign import CampaignFields
from dashboard.settings.fields import SettingField, no_room, setting_field
from dashboard.settings.labels import as_typed, format_default, format_range
from experiments.exceptions import InvalidError, Issue
from experiments.metrics import Reward
from experiments.models import MAX_VARIANTS, Experiment, Status
from experiments.settings_schema import (
    ALGORITHM_SETTINGS,
    SETTING_GROUPS,
    AlgorithmSetting,
    SettingValue,
    setting_problems,
    with_defaults,
)
from experiments.text import NAME_LENGTH, is_name

_LONGEST_DESCRIPTION = 5000


def _refuse_invisible(text: str) -> None:
    if not is_name(text):
        raise ValidationError(_("Use visible characters only."), code="unprintable")


class NameField(forms.CharField):
    def __init__(self, **options: Any) -> None:
        attributes = {"class": "form-control", "autocomplete": "off"}
        super().__init__(
            max_length=NAME_LENGTH,
            validators=[_refuse_invisible],
            widget=forms.TextInput(attrs=attributes),
            **options,
        )


class SettingsForm(forms.Form):
    """One field for each setting of the table."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, setting in ALGORITHM_SETTINGS.items():
            self.fields[name] = setting_field(setting)

    def own_settings(self) -> dict[str, SettingValue | None]:
        return {name: self.cleaned_data.get(name) for name in ALGORITHM_SETTINGS}

    def merged_settings(self) -> dict[str, SettingValue]:
        return with_defaults(self.own_settings())

    def clean(self) -> dict[str, Any]:
        """Floors that leave no room together; each by itself has been looked at."""
        if not self.errors and setting_problems(merged := self.merged_settings()):
            given = self.cleaned_data.get("control_floor") is not None
            self.add_error("control_floor" if given else "min_explore_rate", no_room(merged))
        return self.cleaned_data

    @property
    def groups(self) -> list[tuple[str, list[Any], bool]]:
        """List for each group its legend, its fields with unit and default, and whether to begin folded."""
        return [
            (
                str(group.legend),
                [self._labelled(setting) for setting in group.settings],
                not self._is_used(group.names),
            )
            for group in SETTING_GROUPS
        ]

    def _labelled(self, setting: AlgorithmSetting) -> dict[str, Any]:
        is_number = isinstance(self.fields[setting.name], SettingField)
        return {
            "field": self[setting.name],
            "unit": setting.unit,
            "default": format_default(setting.name) if is_number else "",
            "range": format_range(setting) if is_number else "",
        }

    def _is_used(self, names: Sequence[str]) -> bool:
        return any(self[name].errors or self[name].value() not in (None, "") for name in names)


class ExperimentForm(StaleCheckMixin, CampaignFields, SettingsForm):
    """Name, hypothesis, goal, campaign and settings.

    ``is_proposal``: settings of the lab are filled in, not saved yet.
    """

    is_proposal = False

    name = NameField(label=gettext_lazy("Name"), help_text=gettext_lazy("What you test, in a few words."))
    description = forms.CharField(
        required=False,
        max_length=_LONGEST_DESCRIPTION,
        label=gettext_lazy("Hypothesis"),
        help_text=gettext_lazy("What you expect and why, for those who read the result."),
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 3}),
    )
    reward = forms.ChoiceField(
        choices=Reward.choices,
        label=gettext_lazy("Goal metric"),
        help_text=gettext_lazy("What a better variant has more of. Cannot be changed after the start."),
        widget=forms.Select(attrs={"class": "form-select"}),
    )

    @classmethod
    def new(
        cls, data: Mapping[str, Any] | None = None, initial: Mapping[str, Any] | None = None
    ) -> "ExperimentForm":
        """Build the form of an experiment that does not exist yet."""
        form = cls(data, initial=dict(initial or {}))
        form.offer_new()
        return form

    @classmethod
    def of(cls, experiment: Experiment, data: Mapping[str, Any] | None = None) -> "ExperimentForm":
        """Build the form from what the experiment has now, or from what a person sent."""
        form = cls(data, initial=_initial(experiment))
        form.offer(experiment)
        form.fields["reward"].disabled = experiment.status != Status.DRAFT
        return form

    def unchanged_since(self) -> dt.datetime | None:
        try:
            return dt.datetime.fromisoformat(self.cleaned_data["seen"])
        except ValueError:
            return None

    def details(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in ("name", "description", "reward")}

    def add_errors(self, error: InvalidError) -> None:
        """Show what only the service knew beside the field that it names."""
        for issue in error.issues:
            name = issue.field.removeprefix("settings.")
            self.add_error(name if name in self.fields else None, issue.message)


def version_token(experiment: Experiment) -> str:
    return experiment.updated_at.isoformat()


def _initial(experiment: Experiment) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(experiment, name) for name in ("name", "description", "reward")}
    values["seen"] = version_token(experiment)
    return values | as_typed(experiment.own_settings())


class VariantForm(forms.Form):
    """A row of the new experiment; a row left blank is no variant."""

    name = NameField(required=False, label=gettext_lazy("Name of the variant"))


class Variants(forms.BaseFormSet[VariantForm]):
    """The rows, and which of them is the control: ``chosen`` until a person says so."""

    chosen = "0"

    @property
    def control(self) -> str:
        """Read the number of the row marked as the control."""
        return str(self.data.get("control", "0")) if self.is_bound else self.chosen

    def given(self) -> list[tuple[int, VariantForm]]:
        """Rows with a name in them."""
        return [(i, form) for i, form in enumerate(self.forms) if form.cleaned_data.get("name")]

    def names(self) -> list[str]:
        return [form.cleaned_data["name"] for _number, form in self.given()]

    def control_name(self) -> str | None:
        marked = [form.cleaned_data["name"] for i, form in self.given() if str(i) == self.control]
        return marked[0] if marked else None

    @property
    def named(self) -> int:
        """Count the variants that the rows make so far."""
        return sum(bool(form["name"].value()) for form in self.forms)

    def add_errors(self, error: InvalidError) -> list[Issue]:
        """Put each issue beside the row it names (variants[1].name); return those that name none."""
        rest = []
        for issue in error.issues:
            number = issue.field.removeprefix("variants[").removesuffix("].name")
            if number.isdigit():
                self.given()[int(number)][1].add_error("name", issue.message)
            else:
                rest.append(issue)
        return rest


# A row taken away leaves its number unused, so numbers may pass the most variants there can be.
VariantFormSet = cast(
    type[Variants],
    forms.formset_factory(
        VariantForm, formset=Variants, extra=0, max_num=MAX_VARIANTS, absolute_max=10 * MAX_VARIANTS
    ),
)
