"""What people fill in: parsed once, here; services decide what is allowed."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.setting_fields import SettingField, no_room, setting_field
from dashboard.setting_words import (
    EVIDENCE,
    EXPERT,
    LIMITS,
    SETTING_WORDS,
    default_words,
    range_words,
    shown_number,
)
from experiments.algorithm_settings import (
    ALGORITHM_SETTINGS,
    SettingValue,
    setting_problems,
)
from experiments.counts import DailyCounts
from experiments.csv_uploads import MAX_UPLOAD_BYTES
from experiments.effects import Counts
from experiments.exceptions import InvalidError, InvalidRowsError, Issue
from experiments.models import MAX_VARIANTS, Experiment, Reward, Status, Variant
from experiments.names import NAME_LENGTH, is_name

_LONGEST_DESCRIPTION = 5000
_COUNTS = ("impressions", "clicks", "conversions")


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
        defaults: dict[str, SettingValue] = settings.ALGORITHM_DEFAULTS
        return defaults | {name: own for name, own in self.own_settings().items() if own is not None}

    def clean(self) -> dict[str, Any]:
        """Floors that leave no room together; each by itself has been looked at."""
        if not self.errors and setting_problems(merged := self.merged_settings()):
            given = self.cleaned_data.get("control_floor") is not None
            self.add_error("control_floor" if given else "min_explore_rate", no_room(merged))
        return self.cleaned_data

    @property
    def groups(self) -> list[tuple[str, list[Any], bool]]:
        """Legend, fields with their unit and default, and whether to begin folded: what few people need."""
        named = [(_("Limits"), LIMITS), (_("Evidence"), EVIDENCE), (_("For experts"), EXPERT)]
        return [
            (legend, list(self._with_words(names)), names is EXPERT and not self._is_used(names))
            for legend, names in named
        ]

    def _with_words(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        for name in names:
            is_number = isinstance(self.fields[name], SettingField)
            yield {
                "field": self[name],
                "unit": SETTING_WORDS[name].unit,
                "default": default_words(name) if is_number else "",
                "range": range_words(ALGORITHM_SETTINGS[name]) if is_number else "",
            }

    def _is_used(self, names: Sequence[str]) -> bool:
        return any(self[name].errors or self[name].value() not in (None, "") for name in names)


class ExperimentForm(SettingsForm):
    """Name, description, reward and settings."""

    name = NameField(label=gettext_lazy("Name"), help_text=gettext_lazy("What is compared, in a few words."))
    description = forms.CharField(
        required=False,
        max_length=_LONGEST_DESCRIPTION,
        label=gettext_lazy("Description"),
        help_text=gettext_lazy("The question behind it, for whoever reads the result. May be left out."),
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 3}),
    )
    reward = forms.ChoiceField(
        choices=Reward.choices,
        label=gettext_lazy("Reward"),
        help_text=gettext_lazy(
            "What a better variant has more of. It is fixed once the experiment has started."
        ),
        widget=forms.Select(attrs={"class": "form-select"}),
    )

    @classmethod
    def of(cls, experiment: Experiment, data: Mapping[str, Any] | None = None) -> "ExperimentForm":
        """What the experiment has now, or what a person made of it."""
        form = cls(data, initial=_initial(experiment))
        form.fields["reward"].disabled = experiment.status != Status.DRAFT
        return form

    def details(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in ("name", "description", "reward")}

    def tell(self, error: InvalidError) -> None:
        """What only the service knew, beside the field it names."""
        for issue in error.issues:
            name = issue.field.removeprefix("settings.")
            self.add_error(name if name in self.fields else None, issue.message)


def _initial(experiment: Experiment) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(experiment, name) for name in ("name", "description", "reward")}
    for name, own in experiment.own_settings().items():
        if isinstance(own, bool):
            values[name] = "on" if own else "off"
        elif own is not None:
            values[name] = f"{shown_number(name, own).normalize():f}"
    return values


class VariantForm(forms.Form):
    """A row of the new experiment; a row left blank is no variant."""

    name = NameField(required=False, label=gettext_lazy("Name of the variant"))


class Variants(forms.BaseFormSet[VariantForm]):
    """The rows, and which of them is the control: ``chosen`` until a person says so."""

    chosen = "0"

    @property
    def control(self) -> str:
        """The row marked as the control, by its number."""
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
        """How many variants the rows make so far."""
        return sum(bool(form["name"].value()) for form in self.forms)

    def tell(self, error: InvalidError) -> list[Issue]:
        """Beside the row it names (variants[1].name); what names none is answered."""
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


def _count_labels() -> dict[str, str]:
    return {"impressions": _("Impressions"), "clicks": _("Clicks"), "conversions": _("Conversions")}


class DayForm(forms.Form):
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
        stored: Mapping[int, Counts],
        date: dt.date | None,
        suggested: dt.date | None = None,
    ) -> None:
        """``date`` is the day that is edited, None for a new one (``suggested``); ``stored`` its counts by variant."""
        self.variants, self.stored, self.day = variants, stored, date
        self.form_id = f"day-form-{date.isoformat() if date else 'new'}"
        super().__init__(data, initial={"date": date or suggested}, auto_id=f"{self.form_id}-%s")
        self.fields["date"].widget.attrs["form"] = self.form_id
        if date is not None:
            self.fields["date"].widget = forms.HiddenInput(attrs={"form": self.form_id})
        for variant in variants:
            for name, before in zip(_COUNTS, stored.get(variant.pk, (None,) * 3), strict=True):
                self.fields[f"{name}-{variant.pk}"] = self._count_field(variant, name, before)

    def _count_field(self, variant: Variant, name: str, before: int | None) -> forms.IntegerField:
        label = f"{_count_labels()[name]}, {variant.name}"
        attributes = {
            "class": "form-control count-input",
            "form": self.form_id,
            "aria-label": label,
            "inputmode": "numeric",
            "data-count": name,
        }
        widget = forms.NumberInput(attrs=attributes)
        return forms.IntegerField(required=False, label=label, initial=before, widget=widget)

    def rows(self) -> list[tuple[Variant, list[tuple[str, forms.BoundField]]]]:
        """Each variant with its fields, each under the name of its column."""
        labels = _count_labels()
        return [(v, [(labels[n], self[f"{n}-{v.pk}"]) for n in _COUNTS]) for v in self.variants]

    def clean(self) -> dict[str, Any]:
        for variant in self.variants:
            if self._is_given(variant) or variant.pk in self.stored:
                for name in ("impressions", "clicks"):
                    field = f"{name}-{variant.pk}"
                    if self.cleaned_data.get(field) is None and field not in self.errors:
                        self.add_error(field, _("Give a number; 0 if there were none."))
        if not self.errors and not self._given():
            self.add_error(None, _("Give the counts of at least one variant."))
        return self.cleaned_data

    def _is_given(self, variant: Variant) -> bool:
        return any(
            self.cleaned_data.get(f"{name}-{variant.pk}") is not None or f"{name}-{variant.pk}" in self.errors
            for name in _COUNTS
        )

    def _given(self) -> list[Variant]:
        return [variant for variant in self.variants if self._is_given(variant)]

    def counts(self) -> list[DailyCounts]:
        return [
            DailyCounts(
                self.cleaned_data["date"],
                variant.name,
                *(self.cleaned_data[f"{name}-{variant.pk}"] or 0 for name in _COUNTS),
            )
            for variant in self._given()
        ]

    def tell(self, error: InvalidError) -> None:
        """What the service refuses, beside the field: rows come in the order of counts()."""
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


class UploadForm(forms.Form):
    file = forms.FileField(
        label=gettext_lazy("CSV file"),
        help_text=gettext_lazy("Nothing is written before you have seen what it would change."),
        widget=forms.ClearableFileInput(attrs={"class": "form-control", "accept": ".csv,text/csv"}),
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > MAX_UPLOAD_BYTES:
            most = MAX_UPLOAD_BYTES // 1024**2
            raise ValidationError(
                _("At most %(most)s MB; load larger files through the API.") % {"most": most}
            )
        return file
