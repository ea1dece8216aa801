"""A form's field for each of the algorithm's settings, in the unit of the pages; blank follows the installation."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from dashboard.settings.labels import (
    format_default,
    own_number,
    range_problem,
    shown_number,
)
from experiments.settings_schema import HIGHEST_FLOOR_SUM, AlgorithmSetting, SettingValue
from experiments.tables.number_fields import PlainDecimalField, typed_whole_number
from experiments.text import format_exact


class SettingField(PlainDecimalField):
    """A number of the algorithm's table, in the unit of the pages; blank follows the installation."""

    def __init__(self, setting: AlgorithmSetting) -> None:
        self.setting = setting
        super().__init__(
            required=False,
            label=setting.label,
            help_text=setting.help,
            widget=forms.NumberInput(attrs=_limit_attributes(setting)),
        )

    def to_python(self, value: Any) -> Any:
        """Read a whole number in the page's language: 10.000 is ten thousand in Portuguese, never ten."""
        if self.setting.is_whole and isinstance(value, str) and value.strip():
            return Decimal(typed_whole_number(value))
        return super().to_python(value)

    def clean(self, value: Any) -> Any:
        try:
            number = super().clean(value)
        except ValidationError as error:
            raise ValidationError(range_problem(self.setting), code="invalid") from error
        if number is None:
            return None
        own = own_number(self.setting.name, number)
        if self.setting.problem(own):
            raise ValidationError(range_problem(self.setting), code="out_of_range")
        return own


def _limit_attributes(setting: AlgorithmSetting) -> dict[str, Any]:
    """The table's limits for the check while typing (static/js/settings.js), in the unit of the pages."""
    default: SettingValue | None = settings.ALGORITHM_DEFAULTS[setting.name]
    shown = setting.blank if default is None else f"{shown_number(setting.name, default).normalize():f}"
    placeholder = _("default: %(value)s") % {"value": shown}
    return {
        "class": "form-control",
        "step": "any",
        "placeholder": placeholder,
        "data-low": f"{shown_number(setting.name, setting.low):f}",
        "data-high": f"{shown_number(setting.name, setting.high):f}",
        "data-low-open": str(setting.low_open).lower(),
        "data-step": f"{shown_number(setting.name, setting.step):f}" if setting.step else "",
        "data-whole": str(setting.is_whole).lower(),
        "data-problem": range_problem(setting),
    }


def setting_field(setting: AlgorithmSetting) -> forms.Field:
    if not setting.is_switch:
        return SettingField(setting)
    as_installed = _("Default (%(default)s)") % {"default": format_default(setting.name)}
    return forms.TypedChoiceField(
        required=False,
        label=setting.label,
        help_text=setting.help,
        choices=[("", as_installed), ("on", _("On")), ("off", _("Off"))],
        coerce=lambda value: value == "on",
        empty_value=None,
        widget=forms.Select(attrs={"class": "form-select"}),
    )


def no_room(merged: Mapping[str, SettingValue]) -> str:
    """Why floors that are too high together are refused."""
    total = Decimal(str(merged["control_floor"])) + Decimal(str(merged["min_explore_rate"]))
    message = _(
        "Minimum control share and exploration share together must be at most %(most)s%%, not %(total)s%%."
    )
    return message % {
        "most": format_exact(Decimal(str(HIGHEST_FLOOR_SUM)) * 100),
        "total": format_exact(total * 100),
    }
