"""Rates and their uncertainty as charts draw them: day by day, so far, and the densities of a decision."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from allocation.engine.evidence.learned import own_rate
from allocation.engine.evidence.values import units_of
from allocation.engine.posterior.beta import Floats, quantiles
from allocation.models import AllocationShare
from experiments.metrics import MEASURES, Measures, Reward
from experiments.models import Variant

_BAND = (0.025, 0.975)
_DENSITY_POINTS = 121
_DENSITY_ENDS = (0.0005, 0.9995)


@dataclass(frozen=True)
class DailyCountsTable:
    """Every day with data and each variant's numbers, (D, K) each, in the order of ``variants``."""

    variants: Sequence[Variant]
    days: Sequence[dt.date]
    measures: Measures[Floats]

    def trials(self, reward: Reward) -> Floats:
        return reward.trials(self.measures)

    def successes(self, reward: Reward) -> Floats:
        return reward.successes(self.measures)


def daily_table(
    variants: Sequence[Variant], rows: Sequence[tuple[dt.date, int, Measures[Any]]]
) -> DailyCountsTable:
    """Lay out rows of date, variant id and numbers as a table."""
    place = {variant.pk: index for index, variant in enumerate(variants)}
    days = sorted({row[0] for row in rows})
    at = {day: index for index, day in enumerate(days)}
    numbers = np.zeros((len(MEASURES), len(days), len(place)))
    for day, variant, values in rows:
        numbers[:, at[day], place[variant]] = [float(value) for value in values]
    return DailyCountsTable(variants, days, Measures(*numbers))


class Rates(NamedTuple):
    """Posterior means (D, K) and 95% bounds (D, K, 2), as all pages show them."""

    mean: Floats
    bounds: Floats


def rates_of(
    table: DailyCountsTable, reward: Reward, prior: tuple[float, float | None], so_far: bool
) -> Rates:
    """Judge each day by itself, or all days up to it."""
    trials, successes, unit = _in_units(table, reward)
    alpha, beta = _full_prior((prior[0], None) if reward.is_value else prior, trials, successes)
    if so_far:
        trials, successes = np.cumsum(trials, axis=0), np.cumsum(successes, axis=0)
    alphas, betas = alpha + successes, beta + trials - successes
    return Rates(unit * alphas / (alphas + betas), unit * quantiles(alphas, betas, _BAND))


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
    return np.linspace(max(float(ends.min()), 1e-9), min(float(ends.max()), 1 - 1e-9), _DENSITY_POINTS)


def posterior_unit(shares: Sequence[AllocationShare]) -> float:
    """Return what a rate of 1 is worth, from any variant's rate and posterior."""
    for share in shares:
        if share.rate and share.posterior_alpha and share.posterior_beta:
            return share.rate * (share.posterior_alpha + share.posterior_beta) / share.posterior_alpha
    return 1.0


def density(x: Floats, alpha: float, beta: float, unit: float) -> Floats:
    """Normalise on the grid itself, per percentage point or amount; numpy has no gamma function."""
    log = (alpha - 1) * np.log(x) + (beta - 1) * np.log1p(-x)
    height = np.exp(log - log.max())
    answer: Floats = height / np.trapezoid(height, unit * x)
    return answer
