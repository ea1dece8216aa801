"""The result of each policy, in numbers that can be printed or sent.

Regret and gain are in expected rewards over the whole horizon. Every policy draws from a generator of its
own, made from the seed and its name, so that its numbers do not depend on which others run beside it.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from allocation.engine.lab.backtest import PastTest, PolicyResult, backtest
from allocation.engine.lab.policies import Even, Policy
from allocation.engine.lab.simulation import Outcome, World, simulate
from allocation.engine.lab.tape import Tape
from allocation.engine.posterior.probability_best import Bools
from allocation.engine.settings import Settings


@dataclass(frozen=True)
class SimulationResult:
    """One policy over all runs. ``mean_shares_by_day`` (D, K); ``stop_day_*`` in days, counted from 1."""

    regret_mean: float
    regret_p10: float
    regret_p90: float
    gain_over_even_mean: float
    best_in_front: float
    stopped: float
    stop_day_mean: float
    stop_day_median: float
    mean_shares_by_day: Sequence[Sequence[float]]

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class WatchedResult:
    """One policy after every day, (D,) each, and at the ``end``.

    ``regret_standard_error`` is that of the mean regret at the end; one run has none. ``stopped_by_day``: the
    part of the runs with no decision to come.
    """

    end: SimulationResult
    regret_standard_error: float | None
    best_in_front_by_day: Sequence[float]
    regret_mean_by_day: Sequence[float]
    regret_p10_by_day: Sequence[float]
    regret_p90_by_day: Sequence[float]
    gain_over_even_mean_by_day: Sequence[float]
    stopped_by_day: Sequence[float]


@dataclass(frozen=True)
class BacktestResult:
    """One policy over all past tests; ``regret_ratio`` is against an even split, None where that lost nothing."""

    regret: float
    regret_ratio: float | None
    gain_over_even: float
    best_in_front: float

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


def simulate_policies(
    policies: Mapping[str, Policy],
    world: World,
    settings: Settings,
    seed: int,
    *,
    stop: bool = False,
    on_day: Callable[[], object] = lambda: None,
) -> dict[str, SimulationResult]:
    """Play each policy in the same world; ``on_day`` is called once for each policy and day."""
    return {
        name: _at_the_end(
            simulate(world, policy, settings, generator_of(seed, name), stop=stop, on_day=on_day), world
        )
        for name, policy in policies.items()
    }


def watch_policy(
    name: str,
    policy: Policy,
    world: World,
    settings: Settings,
    seed: int,
    *,
    stop: bool = False,
    on_day: Callable[[], object] = lambda: None,
    tape: Tape | None = None,
) -> WatchedResult:
    """Play one policy and report every day; its end is that of ``simulate_policies``."""
    rng = generator_of(seed, name)
    outcome = simulate(world, policy, settings, rng, stop=stop, watch=True, on_day=on_day, tape=tape)
    return _day_by_day(outcome, world)


def backtest_policies(
    policies: Mapping[str, Policy],
    tests: Sequence[PastTest],
    settings: Settings,
    seed: int,
    *,
    days: int,
    runs: int,
    on_day: Callable[[], object] = lambda: None,
) -> dict[str, BacktestResult]:
    """Play each policy on the same past tests, and an even split to compare with.

    ``on_day`` is called once for each policy, day and number of variants.
    """
    results = {
        name: backtest(tests, policy, settings, generator_of(seed, name), days=days, runs=runs, on_day=on_day)
        for name, policy in {**policies, "even": policies.get("even", Even())}.items()
    }
    return compared({name: Played.of(result) for name, result in results.items()}, policies)


class Played(NamedTuple):
    """Sums over the past tests that a policy was played on, and the part of runs that end with the best in front."""

    regret: float
    gain_over_even: float
    best_in_front: float

    @classmethod
    def of(cls, result: PolicyResult) -> "Played":
        return cls(result.regret, result.gain_over_even, result.best_in_front)


def compared(results: Mapping[str, Played], policies: Iterable[str]) -> dict[str, BacktestResult]:
    """Compare each policy with the even split among the results."""
    even = results["even"].regret
    return {
        name: BacktestResult(
            regret=results[name].regret,
            regret_ratio=results[name].regret / even if even > 0 else None,
            gain_over_even=results[name].gain_over_even,
            best_in_front=results[name].best_in_front,
        )
        for name in policies
    }


def _at_the_end(outcome: Outcome, world: World) -> SimulationResult:
    low, high = np.percentile(outcome.regret, [10, 90])
    return SimulationResult(
        regret_mean=float(outcome.regret.mean()),
        regret_p10=float(low),
        regret_p90=float(high),
        gain_over_even_mean=float(outcome.gain.mean()),
        best_in_front=float(best_in_front(outcome, world)[:, -1].mean()),
        stopped=float(outcome.stopped.mean()),
        stop_day_mean=float(outcome.stop_day.mean()),
        stop_day_median=float(np.median(outcome.stop_day)),
        mean_shares_by_day=outcome.shares.mean(axis=0).round(6).tolist(),
    )


def _day_by_day(outcome: Outcome, world: World) -> WatchedResult:
    low, high = np.percentile(outcome.regret_by_day, [10, 90], axis=0)
    days, runs = np.arange(1, outcome.shares.shape[1] + 1), len(outcome.regret)
    stopped = outcome.stopped[:, None] & (outcome.stop_day[:, None] <= days)
    return WatchedResult(
        end=_at_the_end(outcome, world),
        regret_standard_error=float(outcome.regret.std(ddof=1) / np.sqrt(runs)) if runs > 1 else None,
        best_in_front_by_day=best_in_front(outcome, world).mean(axis=0).tolist(),
        regret_mean_by_day=outcome.regret_by_day.mean(axis=0).tolist(),
        regret_p10_by_day=low.tolist(),
        regret_p90_by_day=high.tolist(),
        gain_over_even_mean_by_day=outcome.gain_by_day.mean(axis=0).tolist(),
        stopped_by_day=stopped.mean(axis=0).tolist(),
    )


def best_in_front(outcome: Outcome, world: World) -> Bools:
    """Compare, (R, D), the true reward of the one in front with the highest of all variants, to come or not."""
    if world.lasting is None:
        rewards = world.rates * world.worth
        front = np.take_along_axis(rewards, outcome.front_by_day, axis=1)
        return np.asarray(front >= rewards.max(axis=1, keepdims=True))
    lasting = world.lasting * world.worth
    front = np.take_along_axis(lasting, outcome.front_by_day[..., None], axis=2)[..., 0]
    return np.asarray(front >= lasting.max(axis=2))


def generator_of(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])
