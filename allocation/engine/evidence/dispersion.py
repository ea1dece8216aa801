"""How much more do counts vary from day to day than independent trials would?

For each two neighbouring days with data, over the variants seen on both: expectations E under two levels and common
rates theta, by maximum likelihood. X2 is the Pearson chi-square (variance E (1 - E/n)) over the variants expecting at
least 5 successes on both days, k their number less one, and X2 / (k (1 - 2/(9k))^3) has a median of about 1. With M the
median over pairs and D the sum of the k, phi = max(1, (M D + 30) / (D + 30)). Neighbours and a median: a change of
rates that lasts does not move it. Above 1 it says that visits are not independent, counted twice for example.

Given theta, both levels follow: of the S_i successes of two days a part n_i2 x / (n_i1 + n_i2 x) is expected on the
second, x the ratio of the levels, and the parts must add up to that day's total. One equation for each pair.
Source: McCullagh & Nelder, "Generalized linear models" (1989), chapter 4.5.
Shapes: trials and successes (N, T, K); pairs (N, P, K); phi (N,).
"""

import numpy as np

from allocation.engine.posterior.beta import Floats, at
from allocation.engine.posterior.probability_best import Bools

_PRIOR = 30.0
_LEAST_EXPECTED = 5.0
# Where nearly every trial succeeds the binomial variance is next to nothing.
_LARGEST_RATE = 0.999
_MAX_STEPS = 60
_LARGEST_STEP = 2.0
_TOLERANCE = 1e-12


def dispersion(trials: Floats, successes: Floats) -> Floats:
    """phi >= 1, shape (N,). Days without trials are passed over."""
    ratio, freedom = _neighbours(trials, successes)
    total = freedom.sum(axis=1)
    middle = _median(np.where(freedom > 0, ratio, np.inf), (freedom > 0).sum(axis=1))
    return np.asarray(np.maximum(1.0, (middle * total + _PRIOR) / (total + _PRIOR)))


def comparisons(trials: Floats, successes: Floats) -> Floats:
    """D, shape (N,): how many comparisons of a variant's neighbouring days phi rests on."""
    return np.asarray(_neighbours(trials, successes)[1].sum(axis=1))


def _neighbours(trials: Floats, successes: Floats) -> tuple[Floats, Floats]:
    """X2 over its median, and k, for each pair of days that follow each other."""
    n, o, empty = trials, successes, trials.sum(axis=2) <= 0
    if np.count_nonzero(empty[:, 1:] < empty[:, :-1]):
        order = np.argsort(empty, axis=1, kind="stable")[..., None]
        n, o = np.take_along_axis(trials, order, axis=1), np.take_along_axis(successes, order, axis=1)
    return _pairs(n[:, :-1], n[:, 1:], o[:, :-1], o[:, 1:])


def _pairs(n1: Floats, n2: Floats, o1: Floats, o2: Floats) -> tuple[Floats, Floats]:
    """X2 over its median, and k, for each pair: (N, P) each; k = 0 where a pair says nothing."""
    both = (n1 > 0) & (n2 > 0)
    if np.count_nonzero(both) < both.size:
        n1, n2, o1, o2 = (np.where(both, counts, 0.0) for counts in (n1, n2, o1, o2))
    second = _expected_second(n1, n2, o1 + o2, o2.sum(axis=-1))
    first = o1 + o2 - second
    counted = (first >= _LEAST_EXPECTED) & (second >= _LEAST_EXPECTED)
    off = (o1 - first) ** 2 * (1 / _variance(first, n1) + 1 / _variance(second, n2))
    freedom = np.maximum(counted.sum(axis=-1) - 1, 0).astype(np.float64)
    k = np.maximum(freedom, 1)
    return np.where(counted, off, 0.0).sum(axis=-1) / (k * (1 - 2 / (9 * k)) ** 3), freedom


def _variance(expected: Floats, trials: Floats) -> Floats:
    """Binomial variance; 1 where nothing is expected, which is counted nowhere."""
    rate = np.minimum(expected / np.maximum(trials, 1), _LARGEST_RATE)
    return np.where(expected > 0, expected * (1 - rate), 1.0)


def _expected_second(n1: Floats, n2: Floats, both_days: Floats, total: Floats) -> Floats:
    """Expect each variant's successes on the second day: those of both days times a part in [0, 1].

    Newton's steps on the log-ratio of the levels, in which the sum of the parts is a sum of logistic curves. Each pair
    stays where it has settled, however many steps others take.
    """
    whole = both_days.sum(axis=-1)
    solvable = (total > 0) & (total < whole)
    minus_log_odds = np.log(np.maximum(n1, 1)) - np.log(np.maximum(n2, 1))
    x, moving = _first_guess(n1, n2, total, whole, solvable), solvable
    for _ in range(_MAX_STEPS):
        part = 1 / (1 + np.exp(minus_log_odds - x[..., None]))
        expected = both_days * part
        slope = np.add.reduce(expected * (1 - part), axis=-1)
        step = (total - np.add.reduce(expected, axis=-1)) / np.where(slope > 0, slope, 1.0)
        step = np.where(moving, np.minimum(np.maximum(step, -_LARGEST_STEP), _LARGEST_STEP), 0.0)
        x, moving = x + step, np.abs(step) > _TOLERANCE
        if not np.count_nonzero(moving):
            break
    part = 1 / (1 + np.exp(minus_log_odds - x[..., None]))
    return np.where(solvable[..., None], both_days * part, 0.0)


def _first_guess(n1: Floats, n2: Floats, total: Floats, whole: Floats, solvable: Bools) -> Floats:
    """The log-ratio of the pooled rates."""
    rates = total / np.maximum(n2.sum(axis=-1), 1), (whole - total) / np.maximum(n1.sum(axis=-1), 1)
    later, earlier = (np.where(solvable, rate, 1.0) for rate in rates)
    return np.asarray(np.log(later / earlier))


def _median(values: Floats, count: Floats) -> Floats:
    """Take the middle of the ``count`` smallest values of each row; 1 where there is none."""
    if not values.shape[1]:
        return np.ones(len(values))
    rising = np.sort(values, axis=1)
    low, high = (np.maximum(place, 0).astype(np.intp)[:, None] for place in ((count - 1) // 2, count // 2))
    middle = at(rising, low) + at(rising, np.minimum(high, len(rising[0]) - 1))
    return np.where(count > 0, middle[:, 0] / 2, 1.0)
