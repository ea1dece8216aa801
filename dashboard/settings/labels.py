"""Values of the algorithm's settings as pages and operators write them, in the units of the settings' table."""

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from experiments.models import Experiment
from experiments.settings_schema import (
    ALGORITHM_SETTINGS,
    SETTINGS_ON_PAGES,
    AlgorithmSetting,
    SettingValue,
)
from experiments.text import Text, format_exact


def shown_number(name: str, value: float) -> Decimal:
    """Convert to the unit of the pages, percent for fractions; by its decimal digits, so that 0.07 is 7."""
    exact = Decimal(str(value))
    return exact * 100 if ALGORITHM_SETTINGS[name].unit == "%" else exact


def own_number(name: str, shown: Decimal) -> SettingValue:
    """Convert back what shown_number made; whole where the setting is."""
    value = float(shown / 100 if ALGORITHM_SETTINGS[name].unit == "%" else shown)
    is_whole = ALGORITHM_SETTINGS[name].is_whole and value.is_integer()
    return int(value) if is_whole else value


def format_value(name: str, value: SettingValue | None) -> str:
    """Write a value with its unit, in the reader's language."""
    if value is None:
        return str(ALGORITHM_SETTINGS[name].blank)
    if isinstance(value, bool):
        return _("on") if value else _("off")
    if not ALGORITHM_SETTINGS[name].is_difference:
        return _with_unit(name, value)
    shown = shown_number(name, value)
    points = ngettext("%(number)s percentage point", "%(number)s percentage points", 1 if shown == 1 else 2)
    return points % {"number": format_exact(shown)}


def _with_unit(name: str, value: SettingValue) -> str:
    unit = str(ALGORITHM_SETTINGS[name].unit)
    number = format_exact(shown_number(name, value))
    return f"{number}{unit}" if unit == "%" else f"{number} {unit}".strip()


def in_environment(value: SettingValue | None) -> str:
    """Write a value as an operator does: fractions stay fractions."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else f"{value:.10g}"


def as_typed(own: Mapping[str, SettingValue | None]) -> dict[str, str]:
    """Write settings as they are typed into a form; those that follow the default are left out."""
    return {name: _typed(name, value) for name, value in own.items() if value is not None}


def _typed(name: str, value: SettingValue) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{shown_number(name, value).normalize():f}"


def format_default(name: str) -> str:
    """Write the installation's own value."""
    return format_value(name, settings.ALGORITHM_DEFAULTS[name])


class InForce(NamedTuple):
    """One setting to read: the value in use, and whether the experiment sets it itself."""

    label: Text
    help: Text
    value: str
    is_own: bool


def values_in_force(experiment: Experiment) -> list[InForce]:
    """List every setting of an experiment, in the order of the pages."""
    own, merged = experiment.own_settings(), experiment.merged_settings()
    return [
        InForce(
            setting.label,
            setting.help,
            format_value(setting.name, merged[setting.name]),
            own[setting.name] is not None,
        )
        for setting in SETTINGS_ON_PAGES
    ]


def format_range(setting: AlgorithmSetting) -> str:
    """Say in a sentence what is allowed."""
    if setting.is_switch:
        return _("On or off.")
    ends = {"low": _with_unit(setting.name, setting.low), "high": _with_unit(setting.name, setting.high)}
    if setting.low_open:
        text = _("Above %(low)s, at most %(high)s.")
    elif setting.is_whole:
        ends["low"] = format_exact(setting.low)
        text = _("A whole number from %(low)s to %(high)s.")
    else:
        text = _("From %(low)s to %(high)s.")
    if setting.step:
        return f"{text % ends} " + _("In steps of %(step)s.") % {
            "step": _with_unit(setting.name, setting.step)
        }
    return text % ends


def range_problem(setting: AlgorithmSetting) -> str:
    """Say beside a value that it is not allowed."""
    return _("Out of range. %(range)s") % {"range": format_range(setting)}
