"""What came of each policy, in numbers that can be printed or sent.

Regret and gain are in expected rewards over the whole horizon. Every policy draws from a generator of its
own, made from the seed and its name, so that its numbers do not depend on which others run beside it.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from allocation.engine.lab.backtest import PastTest, backtest
from allocation.engine.lab.policies import Even, Policy
from allocation.engine.lab.simulation import Outcome, World, simulate
from allocation.engine.posterior.probability_best import Bools
from allocation.engine.settings import Settings

Report = dict[str, dict[str, Any]]


def simulate_policies(
    policies: Mapping[str, Policy],
    world: World,
    settings: Settings,
    seed: int,
    *,
    stop: bool = False,
    watch: bool = False,
    on_day: Callable[[], object] = lambda: None,
) -> Report:
    """Each policy in the same world; ``on_day`` is called once for each policy and day.

    With ``watch`` what is reported of the end is reported of every day as well.
    """
    report: Report = {}
    for name, policy in policies.items():
        rng = generator_of(seed, name)
        outcome = simulate(world, policy, settings, rng, stop=stop, watch=watch, on_day=on_day)
        report[name] = _summary(outcome, world) | (_watched(outcome, world) if watch else {})
    return report


def backtest_policies(
    policies: Mapping[str, Policy],
    tests: Sequence[PastTest],
    settings: Settings,
    seed: int,
    *,
    days: int,
    runs: int,
    on_day: Callable[[], object] = lambda: None,
) -> Report:
    """Each policy on the same past tests; ``regret_ratio`` is against an even split, run for that alone if
    need be.

    ``on_day`` is called once for each policy, day and number of variants.
    """
    results = {
        name: backtest(tests, policy, settings, generator_of(seed, name), days=days, runs=runs, on_day=on_day)
        for name, policy in {**policies, "even": policies.get("even", Even())}.items()
    }
    even = results["even"].regret
    return {
        name: {
            "regret": results[name].regret,
            "regret_ratio": results[name].regret / even if even > 0 else None,
            "gain_over_even": results[name].gain_over_even,
            "best_in_front": results[name].best_in_front,
        }
        for name in policies
    }


def _summary(outcome: Outcome, world: World) -> dict[str, Any]:
    low, high = np.percentile(outcome.regret, [10, 90])
    return {
        "regret_mean": float(outcome.regret.mean()),
        "regret_p10": float(low),
        "regret_p90": float(high),
        "gain_over_even_mean": float(outcome.gain.mean()),
        "best_in_front": float(best_in_front(outcome, world)[:, -1].mean()),
        "stopped": float(outcome.stopped.mean()),
        "stop_day_mean": float(outcome.stop_day.mean()),
        "stop_day_median": float(np.median(outcome.stop_day)),
        "mean_shares_by_day": outcome.shares.mean(axis=0).round(6).tolist(),
    }


def _watched(outcome: Outcome, world: World) -> dict[str, Any]:
    """(D,) lists, and the standard error of the mean regret; one run has none.

    ``stopped_by_day``: the part of the runs with no decision to come.
    """
    low, high = np.percentile(outcome.regret_by_day, [10, 90], axis=0)
    days = np.arange(1, outcome.shares.shape[1] + 1)
    stopped = outcome.stopped[:, None] & (outcome.stop_day[:, None] <= days)
    by_day = {
        "best_in_front_by_day": best_in_front(outcome, world).mean(axis=0),
        "regret_mean_by_day": outcome.regret_by_day.mean(axis=0),
        "regret_p10_by_day": low,
        "regret_p90_by_day": high,
        "gain_over_even_mean_by_day": outcome.gain_by_day.mean(axis=0),
        "stopped_by_day": stopped.mean(axis=0),
    }
    runs = len(outcome.regret)
    error = float(outcome.regret.std(ddof=1) / np.sqrt(runs)) if runs > 1 else None
    return {"regret_standard_error": error, **{name: values.tolist() for name, values in by_day.items()}}


def best_in_front(outcome: Outcome, world: World) -> Bools:
    """(R, D): whether no variant's rate is higher than that of the one in front; of all variants, to come or not."""
    front = np.take_along_axis(world.rates, outcome.front_by_day, axis=1)
    return np.asarray(front >= world.rates.max(axis=1, keepdims=True))


def generator_of(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])
