"""Rates and their uncertainty as charts draw them: day by day, so far, and the densities of a decision."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from allocation.engine.evidence.learned import own_rate
from allocation.engine.evidence.values import units_of
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.quantiles import quantiles
from experiments.metrics import Measures, Reward

_BAND = (0.025, 0.975)
_DENSITY_POINTS = 121
_DENSITY_ENDS = (0.0005, 0.9995)
# A density is drawn between this and as much below 1: at 0 and 1 it has no logarithm.
_LEAST_RATE = 1e-9


class Named(Protocol):
    """A line of a chart: a name and a colour."""

    @property
    def name(self) -> str: ...
    @property
    def colour(self) -> str: ...


@dataclass(frozen=True)
class DailyCountsTable:
    """Every day with data and the numbers of each line, (D, K) each, in the order of ``lines``."""

    lines: Sequence[Named]
    days: Sequence[dt.date]
    measures: Measures[Floats]

    def trials(self, reward: Reward) -> Floats:
        return reward.trials(self.measures)

    def successes(self, reward: Reward) -> Floats:
        return reward.successes(self.measures)

    def week_lengths(self) -> Floats:
        """Count the days with data of each week of ``by_weeks``, (W, 1)."""
        weeks = [day - dt.timedelta(days=day.weekday()) for day in self.days]
        return np.array([[float(weeks.count(week))] for week in sorted(set(weeks))])

    def by_weeks(self) -> "DailyCountsTable":
        """Add the days of each week, which begins on Monday."""
        weeks = sorted({day - dt.timedelta(days=day.weekday()) for day in self.days})
        at = {week: n for n, week in enumerate(weeks)}
        places = [at[day - dt.timedelta(days=day.weekday())] for day in self.days]

        def folded(numbers: Floats) -> Floats:
            sums = np.zeros((len(weeks), numbers.shape[1]))
            np.add.at(sums, places, numbers)
            return sums

        return DailyCountsTable(self.lines, weeks, Measures(*map(folded, self.measures)))


def bounds_of(table: DailyCountsTable, reward: Reward, prior: tuple[float, float | None]) -> Floats:
    """Give the 95% bounds (D, K, 2) of each day's rates, judged by itself."""
    trials, successes, unit = _in_units(table, reward)
    alpha, beta = _full_prior((prior[0], None) if reward.is_value else prior, trials, successes)
    bounds: Floats = unit * quantiles(alpha + successes, beta + (trials - successes), _BAND)
    return bounds


def _in_units(table: DailyCountsTable, reward: Reward) -> tuple[Floats, Floats, float]:
    """Return trials, successes and what a rate of 1 is worth; values as the engine counts them."""
    trials, successes = table.trials(reward), table.successes(reward)
    if not reward.is_value:
        return trials, successes, 1.0
    units = units_of(trials[None], successes[None], table.measures.value_squares[None])
    worth, unit = units.spread[0], float(units.unit[0])
    return trials * unit / worth, successes / worth, unit


def _full_prior(prior: tuple[float, float | None], trials: Floats, successes: Floats) -> tuple[float, float]:
    """Centre a prior without failures of its own on the rate of all data, by the engine's rule."""
    alpha, beta = prior
    if beta is not None:
        return alpha, beta
    return alpha, float(alpha * (1 / own_rate(trials.sum(), successes.sum()) - 1))


def density_range(alpha: Floats, beta: Floats) -> Floats:
    if not alpha.size:
        return np.zeros(0)
    ends = quantiles(alpha, beta, _DENSITY_ENDS)
    low = np.clip(ends.min(), _LEAST_RATE, 1 - 2 * _LEAST_RATE)
    return np.linspace(low, np.clip(ends.max(), low + _LEAST_RATE, 1 - _LEAST_RATE), _DENSITY_POINTS)


def density(x: Floats, alpha: float, beta: float, unit: float) -> Floats:
    """Normalise on the grid itself, per percentage point or amount; numpy has no gamma function."""
    log = (alpha - 1) * np.log(x) + (beta - 1) * np.log1p(-x)
    height = np.exp(log - log.max())
    answer: Floats = height / np.trapezoid(height, unit * x)
    return answer
