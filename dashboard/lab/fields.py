"""Fields of the lab's forms: rates, rules, and the algorithm's settings in columns.

A setting that is left blank is the installation's own, so that a link means the same to everyone who opens it there.
"""

import re
from decimal import Decimal
from typing import Any, ClassVar, Self

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from allocation.engine.lab.orders import LARGEST_CV, LARGEST_WORTH, LEAST_WORTH
from dashboard.lab.columns import OTHER_RULES
from dashboard.settings.fields import no_room, setting_field
from dashboard.settings.labels import format_default, format_range
from experiments.settings_schema import (
    ALGORITHM_SETTINGS,
    SETTINGS_ON_PAGES,
    AlgorithmSetting,
    SettingValue,
    setting_problems,
    with_defaults,
)
from experiments.tables.number_fields import PercentField, WholeNumberField, with_decimal_sign
from experiments.text import Text, format_number

_MOST_RATES = 12
# A rate such as 4, 4.5, 4,5 or 4.5%; a comma after it separates.
_RATE = re.compile(r"([0-9]{1,3})(?:[.,]([0-9]{1,6}))?%?,?")
_AMOUNT = re.compile(r"([0-9]{1,7})(?:[.,]([0-9]{1,4}))?,?")


class _ListField(forms.CharField):
    """Numbers separated by spaces or semicolons, shown as the page's language writes them."""

    form: ClassVar[re.Pattern[str]]

    def prepare_value(self, value: Any) -> Any:
        words = _parts(value.strip()) if isinstance(value, str) else []
        found = [self.form.fullmatch(word) for word in words]
        if not words or None in found:
            return value
        return " ".join(_written(match[1], match[2]) for match in found if match)


def _written(whole: str, decimals: str | None) -> str:
    return whole if decimals is None else with_decimal_sign(f"{whole}.{decimals}")


class RatesField(_ListField):
    """Rates in percent, separated by spaces or semicolons, as fractions; decimals with a point or a comma."""

    form = _RATE

    def clean(self, value: Any) -> tuple[float, ...]:  # a text in, numbers out
        rates = tuple(_rate(part) for part in _parts(str(super().clean(value)).strip()))
        if not 2 <= len(rates) <= _MOST_RATES:
            message = _("Give 2 to %(most)s rates, separated by spaces: 4 4.5 5.")
            raise ValidationError(message % {"most": _MOST_RATES})
        return rates


def _parts(text: str) -> list[str]:
    """Take a list apart. Commas alone separate it where they cannot be decimals: 4,5,6 or 4.5,5.5."""
    words = re.split(r"[\s;]+", text)
    if len(words) == 1 and (text.count(",") > 1 or ("," in text and "." in text)):
        return [part for part in text.split(",") if part]
    return words


def _rate(word: str) -> float:
    found = _RATE.fullmatch(word)
    rate = Decimal(f"{found[1]}.{found[2] or 0}") / 100 if found else None
    if rate is None or rate > 1:
        raise ValidationError(_("%(word)s is not a rate from 0 to 100 percent.") % {"word": repr(word[:20])})
    return float(rate)


def seed_field() -> WholeNumberField:
    return WholeNumberField(
        label=gettext_lazy("Random seed"),
        help_text=gettext_lazy("The same seed gives the same numbers."),
        min_value=0,
        max_value=2**63 - 1,
        initial=1,
    )


def daily_traffic_field() -> WholeNumberField:
    label = gettext_lazy("Visitors per day (total)")
    return WholeNumberField(label=label, min_value=1, max_value=10**9, initial=1000)


def value_cv_field() -> PercentField:
    """Ask for what makes value the goal; blank where conversions are counted."""
    return PercentField(
        label=gettext_lazy("Spread of order values (%)"),
        help_text=gettext_lazy(
            "For value per visitor: the standard deviation of single orders in percent of their mean;"
            " 100 in many shops. Blank: successes are counted."
        ),
        min_value=Decimal(0),
        max_value=Decimal(100 * LARGEST_CV),
        max_digits=7,
        decimal_places=2,
        required=False,
    )


class OrderValuesField(_ListField):
    """Positive amounts separated by spaces or semicolons; decimals with a point or a comma. None where blank."""

    form = _AMOUNT

    def clean(self, value: Any) -> tuple[float, ...] | None:  # a text in, numbers out
        text = str(super().clean(value)).strip()
        return tuple(map(_amount, _parts(text))) if text else None


def _amount(word: str) -> float:
    found = _AMOUNT.fullmatch(word)
    amount = float(f"{found[1]}.{found[2] or 0}") if found else 0.0
    if not LEAST_WORTH <= amount <= LARGEST_WORTH:
        values = {"word": repr(word[:20]), "most": format_number(LARGEST_WORTH, 0)}
        raise ValidationError(_("%(word)s is not an amount above 0, at most %(most)s.") % values)
    return amount


def rules_field(help_text: Text = "") -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        label=gettext_lazy("Compare with"),
        help_text=help_text,
        choices=[(rule.key, rule.label) for rule in OTHER_RULES],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )


class LabForm(forms.Form):
    """A form whose fields have the look of the pages. ``of`` fills in what a short link leaves out."""

    template_fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            _dress(field.widget)

    @classmethod
    def of(cls, query: QueryDict, *args: Any) -> Self:
        data = query.copy()
        for name in cls.template_fields:
            initial = cls.base_fields[name].initial
            if name not in data and initial is not None:
                data[name] = str(initial)
        return cls(data, *args)


def _dress(widget: forms.Widget) -> None:
    if isinstance(widget, forms.CheckboxSelectMultiple | forms.CheckboxInput):
        widget.attrs["class"] = "form-check-input"
    else:
        widget.attrs["class"] = "form-select" if isinstance(widget, forms.Select) else "form-control"


class SettingsColumns(LabForm):
    """The algorithm's settings once for each of ``prefixes``: a_window_days, b_window_days, ..."""

    prefixes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for prefix in self.prefixes:
            for setting in ALGORITHM_SETTINGS.values():
                self.fields[f"{prefix}_{setting.name}"] = _column_field(setting, prefix)

    def own_settings(self, prefix: str) -> dict[str, SettingValue]:
        """Collect those that are filled in."""
        values = {name: self.cleaned_data.get(f"{prefix}_{name}") for name in ALGORITHM_SETTINGS}
        return {name: value for name, value in values.items() if value is not None}

    def setting_rows(self) -> list[dict[str, Any]]:
        """List each setting for the template, with its fields side by side."""
        return [
            {
                "label": setting.label,
                "unit": setting.unit,
                "range": _range(setting),
                "fields": [self[f"{prefix}_{setting.name}"] for prefix in self.prefixes],
            }
            for setting in SETTINGS_ON_PAGES
        ]

    def has_settings(self) -> bool:
        """Check whether any is filled in, right or wrong: its part of the form is open then."""
        return any(
            self.data.get(f"{prefix}_{name}") for prefix in self.prefixes for name in ALGORITHM_SETTINGS
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for prefix in self.prefixes:
            self._check_together(prefix)
        return cleaned

    def _check_together(self, prefix: str) -> None:
        """Refuse floors that leave no room, one of which may be the installation's."""
        merged = with_defaults(self.own_settings(prefix))
        for name in setting_problems(merged):
            if f"{prefix}_{name}" not in self.errors:
                self.add_error(f"{prefix}_{name}", no_room(merged))


def _range(setting: AlgorithmSetting) -> str:
    """The range with the default, for which the fields side by side are too narrow."""
    default = _("Default: %(default)s.") % {"default": format_default(setting.name)}
    return f"{format_range(setting)} {default}"


def _column_field(setting: AlgorithmSetting, prefix: str) -> forms.Field:
    field = setting_field(setting)
    field.widget.attrs.pop("placeholder", None)
    if isinstance(field, forms.ChoiceField):
        field.choices = [("", _("Default")), ("on", _("On")), ("off", _("Off"))]
    field.label = _("%(setting)s, settings %(column)s") % {
        "setting": setting.label,
        "column": prefix.upper(),
    }
    return field
