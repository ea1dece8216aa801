"""What would a policy do, day by day, if the rates were these?

Many runs at once: a day of all of them is one call of the policy, and the policy ``thompson`` is the function
that decides in production. Day 1 is split evenly; each later day's decision sees the counts up to the day before.
Days are counted from 1 in what is reported and from 0 in arrays. R runs, D days, K variants.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from allocation.engine.decision import Counts, Posterior, SettingsArrays, posterior_of, warming_up
from allocation.engine.lab.policies import Policy
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools, contest, leader
from allocation.engine.posterior.value_remaining import value_remaining
from allocation.engine.settings import Settings
from allocation.engine.state import DECIDED_AFTER_DAYS, DECIDED_BELOW
from allocation.engine.target import uniform

ScenarioName = Literal["constant", "weekend", "trend", "shock", "new-variant", "delayed"]
SCENARIOS: tuple[ScenarioName, ...] = get_args(ScenarioName)

# In "delayed", the part of a day's outcomes that arrive on that day and on the two that follow.
_ARRIVAL = (0.5, 0.3, 0.2)


@dataclass(frozen=True)
class World:
    """The truth of a simulation.

    ``rates`` (R, K); ``traffic`` (R, D) visits; ``levels`` (R, D), or (1, D) for all runs, multiply all rates of a day.

    ``available`` (D, K): from when each variant exists. ``arrival``: the part of a day's outcomes that is
    reported after 0, 1, ... days; sums to 1.
    """

    rates: Floats
    traffic: NDArray[np.int64]
    levels: Floats
    available: Bools
    arrival: tuple[float, ...] = (1.0,)

    def rates_on(self, day: int) -> Floats:
        return np.where(self.available[day], np.clip(self.rates * self.levels[:, [day]], 0, 1), 0)


class Outcome(NamedTuple):
    """The result of all runs. Rewards are expected ones: impressions times true rates.

    ``shares`` (R, D, K). ``regret_by_day`` against always serving the best, ``gain_by_day`` over an even split: (R, D)
    running sums. ``front_by_day`` (R, D) the variant in front after each day; without ``watch`` only the last day is
    filled in. ``stop_day`` (R,) the last day with a decision to come, D where no stop was reached, ``stopped`` (R,)
    whether it was.
    """

    shares: Floats
    regret_by_day: Floats
    gain_by_day: Floats
    front_by_day: NDArray[np.intp]
    stop_day: NDArray[np.int64]
    stopped: Bools

    @property
    def regret(self) -> Floats:
        """(R,) over the whole horizon, as are the two below."""
        return self.regret_by_day[:, -1]

    @property
    def gain(self) -> Floats:
        return self.gain_by_day[:, -1]

    @property
    def front(self) -> NDArray[np.intp]:
        return self.front_by_day[:, -1]


def make_world(scenario: ScenarioName, rates: Floats, daily_traffic: int, days: int, runs: int) -> World:
    """Build the named scenario with the same ``rates`` (K,) in every run."""
    levels, available = np.ones(days), np.ones((days, len(rates)), dtype=bool)
    if scenario == "weekend":
        levels = np.where(np.arange(days) % 7 >= 5, 2.0, 1.0)
    elif scenario == "trend":
        levels = np.linspace(1, 3, days)
    elif scenario == "shock":
        levels[days // 2] = 3.0
    elif scenario == "new-variant":
        available[: days // 2, -1] = False
    return World(
        rates=np.tile(rates, (runs, 1)),
        traffic=np.full((runs, days), daily_traffic, dtype=np.int64),
        levels=levels[None],
        available=available,
        arrival=_ARRIVAL if scenario == "delayed" else (1.0,),
    )


def simulate(
    world: World,
    policy: Policy,
    settings: Settings,
    rng: np.random.Generator,
    *,
    stop: bool = False,
    watch: bool = False,
    estimate: Callable[[Counts], Posterior] = posterior_of,
    on_day: Callable[[], object] = lambda: None,
) -> Outcome:
    """Run the policy through every day of the world, all runs at once; ``estimate`` says which variant is in front.

    ``watch`` asks that after every day, which costs about as much as the decisions; it changes no other number.
    """
    (runs, days), k = world.traffic.shape, world.rates.shape[1]
    seen = _Seen(world, settings, estimate)
    shares, fronts = np.empty((runs, days, k)), np.zeros((runs, days), dtype=np.intp)
    stop_day, front = np.full(runs, days), np.zeros(runs, dtype=np.intp)
    running = np.arange(runs)
    for day in range(days):
        shares[:, day] = np.arange(k) == front[:, None]  # all to the leader, for those who have stopped
        if running.size:
            shares[running, day] = _shares_on(day, policy, seen, shares, running)
        seen.serve(day, shares[:, day], rng)
        on_day()
        may_stop = stop and day + 1 >= DECIDED_AFTER_DAYS
        if running.size and (watch or may_stop or day + 1 == days):
            standing = seen.standing(day + 1, shares[:, day], running)
            front[running] = standing.lead
            if may_stop:
                done = standing.value_remaining() < DECIDED_BELOW
                stop_day[running[done]] = day + 1
                running = running[~done]
        fronts[:, day] = front
    stopped = np.ones(runs, dtype=bool)
    stopped[running] = False
    regret, gain = np.cumsum(seen.regret, axis=1), np.cumsum(seen.gain, axis=1)
    return Outcome(shares, regret, gain, fronts, stop_day, stopped)


def _shares_on(day: int, policy: Policy, seen: "_Seen", shares: Floats, running: NDArray[np.intp]) -> Floats:
    active = np.broadcast_to(seen.world.available[day], (len(running), shares.shape[2]))
    if day == 0:
        return uniform(active)
    return policy.shares(seen.counts(day, shares[running, day - 1], running))


class _Seen:
    """Observations so far: the only state of a simulation."""

    def __init__(self, world: World, settings: Settings, estimate: Callable[[Counts], Posterior]) -> None:
        (runs, days), k = world.traffic.shape, world.rates.shape[1]
        self.world, self.settings, self.estimate = world, settings, estimate
        self.trials, self.successes = np.zeros((runs, days, k)), np.zeros((runs, days, k))
        # outcomes on their way: the day they are reported, the day they belong to, and how many
        self._coming: list[tuple[int, int, Floats]] = []
        self.regret, self.gain = np.zeros((runs, days)), np.zeros((runs, days))

    def serve(self, day: int, shares: Floats, rng: np.random.Generator) -> None:
        """Split the day's visitors, draw their outcomes, and book what the split was worth."""
        rate, traffic = self.world.rates_on(day), self.world.traffic[:, day]
        served = rng.multinomial(traffic, shares / shares.sum(axis=1, keepdims=True))
        outcomes = rng.binomial(served, rate)
        worth = (served * rate).sum(axis=1)
        even = (rate * uniform(self.world.available[day])).sum(axis=1)
        self.regret[:, day] = traffic * rate.max(axis=1) - worth
        self.gain[:, day] = worth - traffic * even
        self.trials[:, day] = served
        self._report(day, outcomes, rng)

    def _report(self, day: int, outcomes: NDArray[np.int64], rng: np.random.Generator) -> None:
        left, part_left = outcomes, 1.0
        for lag, part in enumerate(self.world.arrival):
            arriving = left if part >= part_left - 1e-9 else rng.binomial(left, part / part_left)
            self._coming.append((day + lag, day, arriving.astype(np.float64)))
            left, part_left = left - arriving, part_left - part
        for due, origin, reported in self._coming:
            if due == day:
                self.successes[:, origin] += reported
        self._coming = [report for report in self._coming if report[0] > day]

    def counts(self, day: int, previous: Floats, rows: NDArray[np.intp]) -> Counts:
        """Collect what production would see on ``day``: its window, its warm-up and the shares of the day before."""
        end = max(day - self.settings.maturity_days, 0)
        start = max(end - self.settings.window_days, 0)
        size = len(rows)
        available = self.world.available[min(day, len(self.world.available) - 1)]
        active = np.broadcast_to(available, (size, len(available)))
        return Counts(
            trials=self.trials[rows, start:end],
            successes=self.successes[rows, start:end],
            impressions_so_far=self.trials[rows, :end].sum(axis=(1, 2)),
            active=active,
            control=np.broadcast_to(np.arange(active.shape[1]) == 0, active.shape),
            previous=previous,
            settings=SettingsArrays.of([self.settings] * size),
        )

    def standing(self, day: int, previous: Floats, rows: NDArray[np.intp]) -> "_Standing":
        """Rank the variants of the given runs after the counts of all days before ``day``."""
        counts = self.counts(day, previous[rows], rows)
        posterior = self.estimate(counts)
        best = contest(posterior.alpha, posterior.beta, counts.active).probability_best
        return _Standing(counts, posterior, best, leader(best, posterior.mean, counts.active))


class _Standing(NamedTuple):
    """The variants in front, ``lead`` (N,), and what that rests on."""

    counts: Counts
    posterior: Posterior
    probability_best: Floats
    lead: NDArray[np.intp]

    def value_remaining(self) -> Floats:
        """(N,); infinite where production would not call it decided, however little remains."""
        alpha, beta, active = self.posterior.alpha, self.posterior.beta, self.counts.active
        front = np.take_along_axis(self.probability_best, self.lead[:, None], axis=1)
        remaining = value_remaining(alpha, beta, active, self.lead, front)
        # as in state.state_of, nothing is decided before it is optimized; and with one variant there is no choice yet
        undecided = warming_up(self.counts)[0] | (active.sum(axis=1) < 2)
        return np.where(undecided, np.inf, remaining)
