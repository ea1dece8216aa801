"""How much would a policy have saved in tests that are over?

The rates of a past test are taken to be true, drawn toward the test's pooled rate r as if it had had 300 more
impressions at r: rate_i = (clicks_i + 300 r) / (impressions_i + 300). Its impressions come again in equal daily
batches. Regret is in clicks: those expected to be lost against always serving the best variant. Where a test knows what
its successes were worth, regret is in value: a success is worth, on average, what those of its variant were, drawn in
the same way, and single ones vary as much as all of the test's did.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocation.engine.lab.orders import OrderValues
from allocation.engine.lab.policies import Policy
from allocation.engine.lab.simulation import World, simulate
from allocation.engine.lab.tape import Tape
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools
from allocation.engine.settings import Settings

_PRIOR_IMPRESSIONS = 300


@dataclass(frozen=True)
class PastTest:
    """(K,) counts of one test; the first variant is the control.

    ``values`` and ``squares``: the sums of single values and of their squares, where value is the goal; ``clicks`` are
    then the successes that brought them.
    """

    impressions: Floats
    clicks: Floats
    values: Floats | None = None
    squares: Floats | None = None


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
    tape: Tape | None = None,
) -> PolicyResult:
    """Play every test ``runs`` times over ``days`` days; tests with as many variants are played together."""
    means = np.zeros((3, len(tests)))
    for members in by_size(tests).values():
        world = _world([tests[place] for place in members], days, runs)
        outcome = simulate(world, policy, settings, rng, on_day=on_day, tape=tape)
        in_front = _is_best(outcome.front, world)
        for row, values in enumerate((outcome.regret, outcome.gain, in_front)):
            means[row, members] = values.reshape(len(members), runs).mean(axis=1)
    return PolicyResult(*means)


def _is_best(front: NDArray[np.intp], world: World) -> Bools:
    """(R,): whether no variant has a higher true reward than the one in front."""
    rewards = world.rates * world.worth
    return np.asarray(np.take_along_axis(rewards, front[:, None], axis=1)[:, 0] >= rewards.max(axis=1))


def true_orders(test: PastTest) -> OrderValues | None:
    """Estimate what a success of each variant is worth, as if it had had 300 more impressions like the others'.

    None where value is not the goal, and where there was none.
    """
    if test.values is None or test.squares is None or not (test.values.any() and test.clicks.any()):
        return None
    impressions, orders, value = (float(part.sum()) for part in (test.impressions, test.clicks, test.values))
    part = _PRIOR_IMPRESSIONS / impressions
    mean = (test.values + part * value) / (test.clicks + part * orders)
    return OrderValues(mean, float(np.sqrt(max(test.squares.sum() * orders / value**2 - 1, 0.0))))


def by_size(tests: Sequence[PastTest]) -> Mapping[tuple[int, bool], list[int]]:
    """Group the places of tests that can be played together: no array has gaps, and all have values or none has."""
    groups: dict[tuple[int, bool], list[int]] = {}
    for place, test in enumerate(tests):
        groups.setdefault((len(test.impressions), true_orders(test) is not None), []).append(place)
    return dict(sorted(groups.items()))


def _world(tests: Sequence[PastTest], days: int, runs: int) -> World:
    rates = np.repeat([true_rates(test) for test in tests], runs, axis=0)
    total = np.repeat([int(test.impressions.sum()) for test in tests], runs)
    # what does not divide evenly comes a visit a day, from the first day on
    traffic = total[:, None] // days + (np.arange(days) < total[:, None] % days)
    available = np.ones((days, rates.shape[1]), dtype=bool)
    return World(rates, traffic, np.ones((1, days)), available, orders=_orders(tests, runs))


def _orders(tests: Sequence[PastTest], runs: int) -> OrderValues | None:
    found = [orders for test in tests if (orders := true_orders(test)) is not None]
    if not found:
        return None
    return OrderValues(
        np.repeat([orders.mean for orders in found], runs, axis=0),
        np.repeat([orders.cv for orders in found], runs)[:, None],
    )
