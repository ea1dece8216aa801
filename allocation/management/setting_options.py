"""Every setting of the algorithm as an option of a command: --window-days, --no-day-adjustment, ..."""

import math
from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction
from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import CommandError

from allocation.engine import Settings
from allocation.engine.lab.policies import POLICIES, Policy
from experiments.settings_schema import ALGORITHM_SETTINGS, AlgorithmSetting, SettingValue, setting_problems


def add_setting_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("settings of the algorithm")
    for setting in ALGORITHM_SETTINGS.values():
        default = "blank" if setting.default is None else setting.default
        help_text = f"{setting.meaning} ({setting.range_text}; default {default})."
        kind: dict[str, Any] = {"action": BooleanOptionalAction}
        if not setting.is_switch:
            kind = {"type": _reader(setting), "metavar": "N"}
        group.add_argument(_option(setting), default=setting.default, help=help_text, **kind)


def read_settings(options: Mapping[str, Any]) -> Settings:
    """Read the settings from the options; a CommandError names the first option out of its range."""
    values = {name: options[name] for name in ALGORITHM_SETTINGS}
    for name, problem in setting_problems(values).items():
        raise CommandError(f"{_option(ALGORITHM_SETTINGS[name])} {problem}")
    return Settings(**values)


def add_run_options(parser: ArgumentParser, *, runs: int, policies: str) -> None:
    """Add the options that simulate and backtest share."""
    parser.add_argument("--runs", type=whole_number(1, 100_000), default=runs, help=f"Default {runs}.")
    parser.add_argument(
        "--policies",
        default=policies,
        help=f"Of {', '.join(POLICIES)}, separated by commas (default {policies}).",
    )
    parser.add_argument(
        "--seed", type=whole_number(0, 2**63 - 1), default=1, help="Of all random numbers (default 1)."
    )
    parser.add_argument(
        "--json", action="store_true", help="One JSON object on standard output, nothing else."
    )


def read_policies(text: str) -> dict[str, Policy]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in POLICIES:
            raise CommandError(f"--policies: {name!r} is none of {', '.join(POLICIES)}")
    return {name: POLICIES[name] for name in names}


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Make a reader of whole numbers in a range; argparse puts the option's name before the refusal."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ArgumentTypeError(f"must be a whole number from {low:,} to {high:,}, not {text!r}")
        return value

    return read


def _reader(setting: AlgorithmSetting) -> Callable[[str], SettingValue]:
    def read(text: str) -> SettingValue:
        try:
            value = int(text) if setting.is_whole else float(text)
        except ValueError:
            value = math.nan  # refused below, with the range
        if problem := setting.problem(value):
            raise ArgumentTypeError(f"{problem}, not {text!r}")
        return value

    return read


def _option(setting: AlgorithmSetting) -> str:
    return "--" + setting.name.replace("_", "-")
