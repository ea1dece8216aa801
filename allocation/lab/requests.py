"""Simulations and backtests on request: the engine's own, bounded so that no request can hold a worker for long."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from allocation.engine import Settings
from allocation.engine.lab.backtest import PastTest
from allocation.engine.lab.orders import order_values
from allocation.engine.lab.policies import POLICIES
from allocation.engine.lab.report import (
    BacktestResult,
    SimulationResult,
    backtest_policies,
    simulate_policies,
)
from allocation.engine.lab.simulation import make_world
from allocation.lab.past_tests import past_tests_of
from allocation.lab.work import MOST_OF_A_REQUEST, Work, work_of_policies
from experiments.exceptions import InvalidError, Issue
from experiments.metrics import Reward
from experiments.settings_schema import SettingValue, checked_settings

# Decisions computed, variants counted, of so many microseconds each: about two seconds of one core.
MAX_VARIANT_DECISIONS = 100_000
_MICROSECONDS_EACH = MOST_OF_A_REQUEST / MAX_VARIANT_DECISIONS
_HEAVIER = "a long history, memory, a stop, many variants and small priors"


def run_simulation(values: Mapping[str, Any]) -> dict[str, SimulationResult]:
    """Simulate each policy on the ``values`` of SimulationSerializer; raise InvalidError past the bound."""
    refuse_large_simulation(values)
    rates, days, runs, names = np.array(values["rates"]), values["days"], values["runs"], values["policies"]
    settings, stop = merged_settings(values["settings"]), values["stop"] is not None
    orders = order_values(len(rates), values.get("order_values"), values.get("value_cv"))
    return simulate_policies(
        {name: POLICIES[name] for name in names},
        make_world(values["scenario"], rates, values["daily_traffic"], days, runs, values["seed"], orders),
        settings,
        values["seed"],
        stop=stop,
    )


def refuse_large_simulation(values: Mapping[str, Any]) -> None:
    """Raise InvalidError where it is more than a request computes."""
    variants, days, runs, names = len(values["rates"]), values["days"], values["runs"], values["policies"]
    settings, stop = merged_settings(values["settings"]), values["stop"] is not None
    by_value = order_values(variants, values.get("order_values"), values.get("value_cv")) is not None
    estimate = work_of_policies(names, settings, variants, days, stop=stop, values=by_value)
    cells = variants * days * runs * len(names)
    _refuse_too_large("runs", cells, estimate.of(runs), "runs, days, rates and policies")


def run_backtest(values: Mapping[str, Any]) -> dict[str, BacktestResult]:
    """Play each policy on the past tests of BacktestSerializer; raise InvalidError past the bound."""
    tests = past_tests_of(values["tests"], Reward(values["goal"]), values["repeated"])
    settings = merged_settings(values["settings"])
    names = sorted({*values["policies"], "even"})
    cells = sum(len(test.impressions) for test in tests) * values["days"] * values["runs"] * len(names)
    microseconds = _work_of_tests(tests, names, settings, values["days"], values["runs"])
    _refuse_too_large("tests", cells, microseconds, "variants of all tests, days, runs and policies")
    return backtest_policies(
        {name: POLICIES[name] for name in values["policies"]},
        tests,
        settings,
        values["seed"],
        days=values["days"],
        runs=values["runs"],
    )


def _work_of_tests(
    tests: Sequence[PastTest], names: Sequence[str], settings: Settings, days: int, runs: int
) -> float:
    """Tests of as many variants are played together: what is done once is done once for them."""

    def estimate(variants: int, *, values: bool) -> Work:
        return work_of_policies(names, settings, variants, days, values=values)

    kinds = Counter((len(test.impressions), test.values is not None) for test in tests)
    return sum(estimate(k, values=values).of(count * runs) for (k, values), count in kinds.items())


def merged_settings(own: Mapping[str, SettingValue | None]) -> Settings:
    """Lay settings over the installation's defaults, as for an experiment."""
    values: dict[str, Any] = checked_settings(own)
    return Settings(**values)


def _refuse_too_large(field: str, cells: int, microseconds: float, product: str) -> None:
    """More than MAX_VARIANT_DECISIONS are refused in any case, so that no memory runs out."""
    counted = int(microseconds / _MICROSECONDS_EACH)
    if max(cells, counted) > MAX_VARIANT_DECISIONS:
        heavier = f" and counts as {counted:,}: {_HEAVIER} weigh more" if counted > cells else ""
        message = f"the product of {product} is {cells:,}{heavier}; at most {MAX_VARIANT_DECISIONS:,} are computed here"
        raise InvalidError([Issue(field, "too_large", f"{message}. manage.py has no such bound")])
