"""Worlds whose rates themselves change from day to day.

Each scenario turns the rates of K variants into those of every day: ``swap`` (halfway the order of the rates is
reversed), ``drift`` (each variant's log rate walks by N(0, 0.02) a day), ``noisy`` (each variant's rate of each day
times exp(N(0, 0.15))) and ``weekday`` (on two days of seven the second variant is 30% better and the last 10% worse).
Shapes: R runs, D days, K variants; rates are fractions, at most 1.
"""

from collections.abc import Callable, Mapping
from typing import Literal, get_args

import numpy as np

from allocation.engine.posterior.beta import Floats

ChangingName = Literal["swap", "drift", "noisy", "weekday"]
CHANGING: tuple[ChangingName, ...] = get_args(ChangingName)

_DAILY_DRIFT = 0.02
_DAILY_NOISE = 0.15
_SECOND_BETTER, _LAST_WORSE = 1.3, 0.9


def daily_rates(
    scenario: ChangingName, rates: Floats, days: int, runs: int, rng: np.random.Generator
) -> Floats:
    """(R, D, K): the true rates of every day; runs differ where the scenario is random."""
    daily = _DAILY[scenario](np.asarray(rates, dtype=np.float64), days, runs, rng)
    return np.asarray(np.broadcast_to(np.minimum(daily, 1.0), (runs, days, len(rates))))


def lasting_rates(scenario: ChangingName, rates: Floats, daily: Floats) -> Floats:
    """(R, D, K): the rates by which a variant is the best, from those of every day.

    What comes and goes is no merit: noise is left out, and weekdays are averaged.
    """
    lasting = {"noisy": rates, "weekday": rates * (5 + 2 * _weekend(len(rates))) / 7}
    return np.broadcast_to(lasting.get(scenario, daily), daily.shape)


def _swap(rates: Floats, days: int, runs: int, rng: np.random.Generator) -> Floats:
    rising = np.argsort(rates, kind="stable")
    reversed_rates = np.empty_like(rates)
    reversed_rates[rising] = rates[rising[::-1]]
    return np.where((np.arange(days) >= days // 2)[:, None], reversed_rates, rates)


def _drift(rates: Floats, days: int, runs: int, rng: np.random.Generator) -> Floats:
    """The first day has the rates as given."""
    steps = rng.normal(0, _DAILY_DRIFT, (runs, days, len(rates)))
    steps[:, :1] = 0
    return np.asarray(rates * np.exp(np.cumsum(steps, axis=1)))


def _noisy(rates: Floats, days: int, runs: int, rng: np.random.Generator) -> Floats:
    return np.asarray(rates * np.exp(rng.normal(0, _DAILY_NOISE, (runs, days, len(rates)))))


def _weekday(rates: Floats, days: int, runs: int, rng: np.random.Generator) -> Floats:
    return np.where((np.arange(days) % 7 >= 5)[:, None], rates * _weekend(len(rates)), rates)


def _weekend(k: int) -> Floats:
    """Factors (K,): of two variants the second is better, and none is worse."""
    factors = np.ones(k)
    factors[2:][-1:] = _LAST_WORSE
    factors[1:2] = _SECOND_BETTER
    return factors


_DAILY: Mapping[ChangingName, Callable[[Floats, int, int, np.random.Generator], Floats]] = {
    "swap": _swap,
    "drift": _drift,
    "noisy": _noisy,
    "weekday": _weekday,
}
