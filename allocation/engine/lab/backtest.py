"""How much would a policy have saved in tests that are over?

The rates of a past test are taken to be true, drawn toward the test's pooled rate r as if it had had 300 more
impressions at r: rate_i = (clicks_i + 300 r) / (impressions_i + 300). Its impressions come again in equal daily
batches. Regret is in clicks: those expected to be lost against always serving the best variant.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from allocation.engine.lab.policies import Policy
from allocation.engine.lab.simulation import World, simulate
from allocation.engine.posterior.beta import Floats
from allocation.engine.settings import Settings

_PRIOR_IMPRESSIONS = 300


@dataclass(frozen=True)
class PastTest:
    """(K,) counts of one test; the first variant is the control."""

    impressions: Floats
    clicks: Floats


@dataclass(frozen=True)
class PolicyResult:
    """(T,) means over runs, in the order of the tests: clicks, and the part of runs ending with the best in front."""

    regret_by_test: Floats
    gain_by_test: Floats
    best_in_front_by_test: Floats

    @property
    def regret(self) -> float:
        """Summed over all tests, as is the gain."""
        return float(self.regret_by_test.sum())

    @property
    def gain_over_even(self) -> float:
        return float(self.gain_by_test.sum())

    @property
    def best_in_front(self) -> float:
        return float(self.best_in_front_by_test.mean())


def true_rates(test: PastTest) -> Floats:
    total = test.impressions.sum()
    pooled = test.clicks.sum() / total if total > 0 else 0.0
    return (test.clicks + _PRIOR_IMPRESSIONS * pooled) / (test.impressions + _PRIOR_IMPRESSIONS)


def backtest(
    tests: Sequence[PastTest],
    policy: Policy,
    settings: Settings,
    rng: np.random.Generator,
    *,
    days: int,
    runs: int,
    on_day: Callable[[], object] = lambda: None,
) -> PolicyResult:
    """Play every test ``runs`` times over ``days`` days; tests with as many variants are played together."""
    means = np.zeros((3, len(tests)))
    for members in by_size(tests).values():
        world = _world([tests[place] for place in members], days, runs)
        outcome = simulate(world, policy, settings, rng, on_day=on_day)
        front = np.take_along_axis(world.rates, outcome.front[:, None], axis=1)[:, 0]
        for row, values in enumerate((outcome.regret, outcome.gain, front >= world.rates.max(axis=1))):
            means[row, members] = values.reshape(len(members), runs).mean(axis=1)
    return PolicyResult(*means)


def by_size(tests: Sequence[PastTest]) -> Mapping[int, list[int]]:
    """Group the places of tests by their number of variants, so that no array has gaps."""
    groups: dict[int, list[int]] = {}
    for place, test in enumerate(tests):
        groups.setdefault(len(test.impressions), []).append(place)
    return dict(sorted(groups.items()))


def _world(tests: Sequence[PastTest], days: int, runs: int) -> World:
    rates = np.repeat([true_rates(test) for test in tests], runs, axis=0)
    total = np.repeat([int(test.impressions.sum()) for test in tests], runs)
    # what does not divide evenly comes a visit a day, from the first day on
    traffic = total[:, None] // days + (np.arange(days) < total[:, None] % days)
    return World(rates, traffic, np.ones((1, days)), np.ones((days, rates.shape[1]), dtype=bool))
