"""What came of each policy, in numbers that can be printed or sent.

Regret and gain are in expected rewards over the whole horizon. Every policy draws from a generator of its
own, made from the seed and its name, so that its numbers do not depend on which others run beside it.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from allocation.engine.backtest import PastTest, backtest
from allocation.engine.policies import Even, Policy
from allocation.engine.settings import Settings
from allocation.engine.simulation import Outcome, World, simulate

Report = dict[str, dict[str, Any]]


def simulate_policies(
    policies: Mapping[str, Policy],
    world: World,
    settings: Settings,
    seed: int,
    *,
    stop: bool = False,
    on_day: Callable[[], object] = lambda: None,
) -> Report:
    """Each policy in the same world; ``on_day`` is called once for each policy and day."""
    return {
        name: _summary(
            simulate(world, policy, settings, _generator(seed, name), stop=stop, on_day=on_day), world
        )
        for name, policy in policies.items()
    }


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
        name: backtest(tests, policy, settings, _generator(seed, name), days=days, runs=runs, on_day=on_day)
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
    best = np.take_along_axis(world.rates, outcome.front[:, None], axis=1)[:, 0] >= world.rates.max(axis=1)
    low, high = np.percentile(outcome.regret, [10, 90])
    return {
        "regret_mean": float(outcome.regret.mean()),
        "regret_p10": float(low),
        "regret_p90": float(high),
        "gain_over_even_mean": float(outcome.gain.mean()),
        "best_in_front": float(best.mean()),
        "stopped": float(outcome.stopped.mean()),
        "stop_day_mean": float(outcome.stop_day.mean()),
        "stop_day_median": float(np.median(outcome.stop_day)),
        "mean_shares_by_day": outcome.shares.mean(axis=0).round(6).tolist(),
    }


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])
