"""What would a policy have saved in tests that are over?

The rates of a past test are taken to be true, drawn toward the test's pooled rate r as if it had had 300 more
impressions at r: rate_i = (clicks_i + 300 r) / (impressions_i + 300). Its impressions come again in equal daily
batches. Regret is in clicks: those expected to be lost against always serving the best variant.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from allocation.engine.beta import Floats
from allocation.engine.policies import Policy
from allocation.engine.settings import Settings
from allocation.engine.simulation import World, simulate

_PRIOR_IMPRESSIONS = 300


@dataclass(frozen=True)
class PastTest:
    """(K,) counts of one test; the first variant is the control."""

    impressions: Floats
    clicks: Floats


@dataclass(frozen=True)
class PolicyResult:
    """Sums over all tests of means over runs, in clicks; ``best_in_front`` is the part of runs ending so."""

    regret: float
    gain_over_even: float
    best_in_front: float


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
    regret = gain = front = 0.0
    for group in by_size(tests).values():
        world = _world(group, days, runs)
        outcome = simulate(world, policy, settings, rng, on_day=on_day)
        regret += float(outcome.regret.sum()) / runs
        gain += float(outcome.gain.sum()) / runs
        best = np.take_along_axis(world.rates, outcome.front[:, None], axis=1)[:, 0]
        front += float((best >= world.rates.max(axis=1)).sum()) / runs
    return PolicyResult(regret, gain, front / len(tests))


def by_size(tests: Sequence[PastTest]) -> Mapping[int, list[PastTest]]:
    """The tests by their number of variants, so that no array has gaps."""
    groups: dict[int, list[PastTest]] = {}
    for test in tests:
        groups.setdefault(len(test.impressions), []).append(test)
    return dict(sorted(groups.items()))


def _world(tests: Sequence[PastTest], days: int, runs: int) -> World:
    rates = np.repeat([true_rates(test) for test in tests], runs, axis=0)
    total = np.repeat([int(test.impressions.sum()) for test in tests], runs)
    # what does not divide evenly comes a visit a day, from the first day on
    traffic = total[:, None] // days + (np.arange(days) < total[:, None] % days)
    return World(rates, traffic, np.ones((1, days)), np.ones((days, rates.shape[1]), dtype=bool))
