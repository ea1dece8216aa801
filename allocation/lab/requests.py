"""Simulations and backtests on request: the engine's own, bounded so that no request can hold a worker for long."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from allocation.engine import Settings
from allocation.engine.lab.backtest import PastTest
from allocation.engine.lab.policies import POLICIES
from allocation.engine.lab.report import (
    BacktestResult,
    SimulationResult,
    backtest_policies,
    simulate_policies,
)
from allocation.engine.lab.simulation import make_world
from experiments.exceptions import InvalidError, Issue
from experiments.settings_schema import SettingValue, checked_settings

# Decisions computed, variants counted: about ten seconds of one core, at some 20 microseconds each.
MAX_VARIANT_DECISIONS = 500_000
# Finding the value remaining, as `stop` does each day, costs as much as three decisions.
_STOP_WEIGHT = 4
# Each day of a decision's window is looked at once more: so many cost as much again as all else.
_DAYS_THAT_DOUBLE = 60
_HEAVIER = f"10 variants or more, a stop, or a window of {_DAYS_THAT_DOUBLE} days or more"


def run_simulation(values: Mapping[str, Any]) -> dict[str, SimulationResult]:
    """Simulate each policy on the ``values`` of SimulationSerializer; raise InvalidError past the bound."""
    rates, days, runs = np.array(values["rates"]), values["days"], values["runs"]
    settings = merged_settings(values["settings"])
    cells = len(rates) * days * runs * len(values["policies"])
    weight = _weight(len(rates)) * (1 if values["stop"] is None else _STOP_WEIGHT)
    weight *= _weight_of_window(settings, days)
    _refuse_too_large("runs", cells, cells * weight, "runs, days, rates and policies")
    return simulate_policies(
        {name: POLICIES[name] for name in values["policies"]},
        make_world(values["scenario"], rates, values["daily_traffic"], days, runs),
        settings,
        values["seed"],
        stop=values["stop"] is not None,
    )


def run_backtest(values: Mapping[str, Any]) -> dict[str, BacktestResult]:
    """Play each policy on the past tests of BacktestSerializer; raise InvalidError past the bound."""
    tests = [
        PastTest(
            impressions=np.array([v["impressions"] for v in test["variants"]], dtype=np.float64),
            clicks=np.array([v["clicks"] for v in test["variants"]], dtype=np.float64),
        )
        for test in values["tests"]
    ]
    settings = merged_settings(values["settings"])
    times = values["days"] * values["runs"] * len({*values["policies"], "even"})
    sizes = [len(test.impressions) for test in tests]
    work = sum(size * _weight(size) for size in sizes) * times * _weight_of_window(settings, values["days"])
    _refuse_too_large("tests", sum(sizes) * times, work, "variants of all tests, days, runs and policies")
    return backtest_policies(
        {name: POLICIES[name] for name in values["policies"]},
        tests,
        settings,
        values["seed"],
        days=values["days"],
        runs=values["runs"],
    )


def merged_settings(own: Mapping[str, SettingValue | None]) -> Settings:
    """Lay settings over the installation's defaults, as for an experiment."""
    values: dict[str, Any] = checked_settings(own)
    return Settings(**values)


def _weight(variants: int) -> int:
    """Weigh one variant: each of many is compared with all others, which at 100 takes eleven times as long."""
    return 1 + variants // 10


def _weight_of_window(settings: Settings, days: int) -> int:
    """Weigh a window: 1 for two weeks, 7 for a year, as far as the run has so many days."""
    return 1 + min(settings.window_days, days) // _DAYS_THAT_DOUBLE


def _refuse_too_large(field: str, cells: int, work: int, product: str) -> None:
    if work > MAX_VARIANT_DECISIONS:
        counted = "" if work == cells else f" and counts as {work:,}, for {_HEAVIER}"
        message = f"the product of {product} is {cells:,}{counted}; at most {MAX_VARIANT_DECISIONS:,} are computed here"
        raise InvalidError([Issue(field, "too_large", f"{message}. manage.py has no such bound")])
