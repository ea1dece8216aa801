"""How would a policy do, day by day, if the rates were these?

Many runs at once: a day of all of them is one call of the policy, and the policy ``thompson`` is the function
that decides in production. Day 1 is split evenly; each later day's decision sees the counts up to the day before.
Days are counted from 1 in what is reported and from 0 in arrays. R runs, D days, K variants.
Scenarios either move all rates together (levels) or change how the variants compare (lab.scenarios). Where value is
the goal, a success brings a log-normal value (lab.orders), and rewards are sums of values.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from allocation.engine.batch import Counts, Posterior, SettingsArrays
from allocation.engine.decision import lead_of, low_evidence_of, posterior_of, warming_up
from allocation.engine.lab.orders import OrderValues, draw_values
from allocation.engine.lab.policies import Policy
from allocation.engine.lab.scenarios import CHANGING, ChangingName, daily_rates, lasting_rates
from allocation.engine.lab.tape import Tape
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.groups import GroupContest
from allocation.engine.posterior.probability_best import Bools
from allocation.engine.settings import Settings
from allocation.engine.state import DECIDED_AFTER_DAYS, DECIDED_BELOW, EXCLUDED_BELOW
from allocation.engine.target import uniform

_LevelName = Literal["constant", "weekend", "trend", "shock", "new-variant", "delayed"]
ScenarioName = _LevelName | ChangingName
SCENARIOS: tuple[ScenarioName, ...] = (*get_args(_LevelName), *CHANGING)
# Makes the generator of a world from a seed another one than those of the policies.
_WORLD = 8

# In "delayed", the part of a day's outcomes that arrive on that day and on the two that follow.
_ARRIVAL = (0.5, 0.3, 0.2)


@dataclass(frozen=True)
class World:
    """The true world. ``rates`` (R, K); ``traffic`` (R, D) visits; ``levels`` (R, D), or (1, D) for all runs, multiply
    all rates of a day.

    ``available`` (D, K): from when each variant exists. ``arrival``: the part of a day's outcomes that is
    reported after 0, 1, ... days; sums to 1. ``daily`` and ``lasting`` (R, D, K), where the variants' relative rates
    change: the rates of each day in place of ``rates``, and those by which a variant is the best. ``orders``: what
    successes are worth, where value is the goal.
    """

    rates: Floats
    traffic: NDArray[np.int64]
    levels: Floats
    available: Bools
    arrival: tuple[float, ...] = (1.0,)
    daily: Floats | None = None
    lasting: Floats | None = None
    orders: OrderValues | None = None

    @property
    def worth(self) -> Floats | float:
        """A success of each variant, (K,) or (R, K)."""
        return 1.0 if self.orders is None else self.orders.mean

    def rates_on(self, day: int) -> Floats:
        return self._on(day, self.rates if self.daily is None else self.daily[:, day])

    def rewards_on(self, day: int) -> Floats:
        """The expected reward of a visit: the rates, times the worth of a success."""
        return self.rates_on(day) * self.worth

    def lasting_on(self, day: int) -> Floats:
        return self._on(day, self.rates if self.lasting is None else self.lasting[:, day]) * self.worth

    def best_rate_on(self, day: int) -> Floats:
        """(R,): the expected reward, on that day, of the variant that is best but for what comes and goes."""
        best = self.lasting_on(day).argmax(axis=1)[:, None]
        return np.asarray(np.take_along_axis(self.rewards_on(day), best, axis=1)[:, 0])

    def _on(self, day: int, rates: Floats) -> Floats:
        return np.where(self.available[day], np.clip(rates * self.levels[:, [day]], 0, 1), 0)


class Outcome(NamedTuple):
    """The result of a run. Rewards are expected ones: impressions times true rates.

    ``shares`` (R, D, K). ``regret_by_day`` against always serving the variant that is best, but for what comes and
    goes; ``gain_by_day`` over an even split: (R, D) running sums. ``front_by_day`` (R, D) the variant in front after
    each day; without ``watch`` only the last day is filled in. ``stop_day`` (R,) the last day with a decision to come,
    D where no stop was reached, ``stopped`` (R,) whether it was.
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


def make_world(
    scenario: ScenarioName,
    rates: Floats,
    daily_traffic: int,
    days: int,
    runs: int,
    seed: int = 1,
    orders: OrderValues | None = None,
) -> World:
    """The named scenario with the same ``rates`` (K,) in every run; ``seed`` makes rates that change by chance.

    ``orders``: what successes are worth, where value is the goal; the scenario changes the rates alone.
    """
    levels, available = np.ones(days), np.ones((days, len(rates)), dtype=bool)
    if scenario == "weekend":
        levels = np.where(np.arange(days) % 7 >= 5, 2.0, 1.0)
    elif scenario == "trend":
        levels = np.linspace(1, 3, days)
    elif scenario == "shock":
        levels[days // 2] = 3.0
    elif scenario == "new-variant":
        available[: days // 2, -1] = False
    daily, lasting = None, None
    if scenario in CHANGING:
        daily = daily_rates(scenario, rates, days, runs, np.random.default_rng([seed, _WORLD]))
        lasting = lasting_rates(scenario, rates, daily)
    return World(
        rates=np.tile(rates, (runs, 1)),
        traffic=np.full((runs, days), daily_traffic, dtype=np.int64),
        levels=levels[None],
        available=available,
        arrival=_ARRIVAL if scenario == "delayed" else (1.0,),
        daily=daily,
        lasting=lasting,
        orders=orders,
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
    tape: Tape | None = None,
) -> Outcome:
    """Run the policy through every day of the world, all runs at once; ``estimate`` says which variant is in front.

    ``watch`` asks that after every day; it changes no other number, and the next day's decision uses the answer.
    ``on_day`` may break off; with its ``tape`` the rest is played later.
    """
    tape = tape or Tape()
    (runs, days), k = world.traffic.shape, world.rates.shape[1]
    seen = _Seen(world, settings, estimate)
    shares, fronts = np.empty((runs, days, k)), np.zeros((runs, days), dtype=np.intp)
    stop_day, front = np.full(runs, days), np.zeros(runs, dtype=np.intp)
    running = np.arange(runs)
    for day in range(days):
        shares[:, day] = np.arange(k) == front[:, None]  # all to the leader, for those who have stopped
        if running.size:
            decide = partial(_shares_on, day, policy, seen, shares, running)
            shares[running, day] = tape.once((running.size, k), decide)
        seen.serve(day, shares[:, day], rng)
        on_day()
        may_stop = stop and day + 1 >= DECIDED_AFTER_DAYS
        if running.size and (watch or may_stop or day + 1 == days):
            look = partial(_look, day, seen, shares, running, may_stop)
            lead, undecided = tape.once((2, running.size), look)
            front[running] = lead
            if may_stop:
                done = undecided == 0
                stop_day[running[done]] = day + 1
                running = running[~done]
                seen.keep(~done)
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


def _look(day: int, seen: "_Seen", shares: Floats, running: NDArray[np.intp], may_stop: bool) -> Floats:
    """(2, N): who is in front after the day, and whether more than next to nothing may be left to gain."""
    standing = seen.standing(day + 1, shares[:, day], running)
    undecided = standing.value_remaining() >= DECIDED_BELOW if may_stop else np.ones(len(running), dtype=bool)
    return np.array([standing.lead, undecided], dtype=np.float64)


class _Seen:
    """The data observed so far: the only state of a simulation."""

    def __init__(self, world: World, settings: Settings, estimate: Callable[[Counts], Posterior]) -> None:
        (runs, days), k = world.traffic.shape, world.rates.shape[1]
        self.world, self.settings, self.estimate = world, settings, estimate
        self.trials, self.successes = np.zeros((runs, days, k)), np.zeros((runs, days, k))
        self.squares = None if world.orders is None else np.zeros((runs, days, k))
        # outcomes on their way: the day they are reported, the day they belong to, what they bring and its squares
        self._coming: list[tuple[int, int, Floats, Floats | None]] = []
        self.regret, self.gain = np.zeros((runs, days)), np.zeros((runs, days))
        # what is known of the runs still going, and for which day's decision
        self._known: tuple[int, Posterior] | None = None

    def serve(self, day: int, shares: Floats, rng: np.random.Generator) -> None:
        """Split the day's visitors, draw their outcomes, and book what the split was worth."""
        rate, traffic = self.world.rates_on(day), self.world.traffic[:, day]
        served = rng.multinomial(traffic, shares / shares.sum(axis=1, keepdims=True))
        outcomes = rng.binomial(served, rate)
        reward = self.world.rewards_on(day)
        worth = (served * reward).sum(axis=1)
        even = (reward * uniform(self.world.available[day])).sum(axis=1)
        self.regret[:, day] = traffic * self.world.best_rate_on(day) - worth
        self.gain[:, day] = worth - traffic * even
        self.trials[:, day] = served
        self._report(day, outcomes, rng)

    def _report(self, day: int, outcomes: NDArray[np.int64], rng: np.random.Generator) -> None:
        left, part_left = outcomes, 1.0
        for lag, part in enumerate(self.world.arrival):
            arriving = left if part >= part_left - 1e-9 else rng.binomial(left, part / part_left)
            self._coming.append((day + lag, day, *self._brought(arriving, rng)))
            left, part_left = left - arriving, part_left - part
        for due, origin, reported, squares in self._coming:
            if due == day:
                self.successes[:, origin] += reported
                if self.squares is not None and squares is not None:
                    self.squares[:, origin] += squares
        self._coming = [report for report in self._coming if report[0] > day]

    def _brought(self, outcomes: NDArray[np.int64], rng: np.random.Generator) -> tuple[Floats, Floats | None]:
        if self.world.orders is None:
            return outcomes.astype(np.float64), None
        return draw_values(outcomes, self.world.orders, rng)

    def counts(self, day: int, previous: Floats, rows: NDArray[np.intp]) -> Counts:
        """Build what production would see on ``day``: its window, its warm-up and the shares of the day before."""
        end = max(day - self.settings.maturity_days, 0)
        start = max(end - self.settings.longest_window, 0)
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
            known=self._known[1] if self._known and self._known[0] == day else None,
            squares=None if self.squares is None else self.squares[rows, start:end],
        )

    def keep(self, going: Bools) -> None:
        """Forget the runs that have stopped."""
        if self._known:
            self._known = self._known[0], self._known[1].rows(going)

    def standing(self, day: int, previous: Floats, rows: NDArray[np.intp]) -> "_Standing":
        """Rank the variants of the given runs after the counts of all days before ``day``."""
        counts = self.counts(day, previous[rows], rows)
        posterior = self.estimate(counts)
        if self.estimate is posterior_of:
            self._known = day, posterior
        contest = posterior.contest(counts.active)
        low = low_evidence_of(posterior, counts.active, counts.settings)
        lead = lead_of(contest.probability_best, posterior.mean, counts.active, low, posterior.trials > 0)
        mature = self.trials[rows, : max(day - self.settings.maturity_days, 0)]
        return _Standing(counts, contest, low, lead, (mature > 0).sum(axis=1))


class _Standing(NamedTuple):
    """Who is in front, ``lead`` (N,), and what that rests on; ``days`` (N, K) with data since the start."""

    counts: Counts
    contest: GroupContest
    low_evidence: Bools
    lead: NDArray[np.intp]
    days: NDArray[np.intp]

    def value_remaining(self) -> Floats:
        """(N,); infinite where production would not call it decided, however little remains."""
        remaining = self.contest.value_remaining(self.lead)
        # as in state.state_of, nothing is decided before it is optimized; and with one variant there is no choice yet
        undecided = warming_up(self.counts)[0] | (self.counts.active.sum(axis=1) < 2)
        possible = self.contest.probability_best >= EXCLUDED_BELOW
        unsure = possible & (self.low_evidence | (self.days < DECIDED_AFTER_DAYS))
        return np.where(undecided | unsure.any(axis=1), np.inf, remaining)
