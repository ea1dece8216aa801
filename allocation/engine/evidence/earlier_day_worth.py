"""How well does each day follow from a regime that began on each day before it, as rules before 6 computed it?

Only for decisions of those rules: day_worth.py finds the same faster, but for the last digits.
Shapes: as in memory.py; N experiments of falling numbers of days.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.evidence.day_worth import LEAST_PART, PRIOR, THIRD_ORDER
from allocation.engine.evidence.log_gamma import remainder
from allocation.engine.posterior.beta import Floats

# Floats in one temporary array: about what a core's own cache holds.
_BLOCK_FLOATS = 1 << 15


def worth_of_days(trials: Floats, successes: Floats, days: NDArray[np.intp]) -> Iterator[Floats]:
    """How much each day is worth under each start, (M, day + 1) for the M first experiments, that have such a day."""
    going = (days[:, None] > np.arange(trials.shape[1])).sum(axis=0)
    worth = _log_likelihood(trials, successes, going)
    return (worth[day, :rows, : day + 1] for day, rows in enumerate(going.tolist()))


def _log_likelihood(trials: Floats, successes: Floats, going: NDArray[np.intp]) -> Floats:
    """(T, N, S): what day t is worth under each start s <= t, but for what all starts share.

    ``going`` (T,): how many experiments have a day t; they are the first ones.
    """
    size, length, k = trials.shape
    by_day = np.ascontiguousarray(trials.transpose(1, 0, 2))
    so_far = np.concatenate([np.zeros((1, size, k)), np.cumsum(successes.transpose(1, 0, 2), axis=0)])
    begun = np.ascontiguousarray(so_far.transpose(1, 2, 0))
    counts = _Counts(by_day, successes.transpose(1, 0, 2), so_far, begun, successes.sum(axis=2).T, going)
    worth, exposure = np.empty((length, size, length)), np.full((size, k, length), PRIOR)
    block = max(1, _BLOCK_FLOATS // exposure.size)
    for first in range(0, length, block):
        days = range(first, min(first + block, length))
        worth[first : days.stop, :, : days.stop] = _worth(counts, exposure, days)
    return worth


class _Counts(NamedTuple):
    """Trials, successes (T, N, K), successes before each day as (T + 1, N, K) and (N, K, T + 1), a day's total (T, N).

    ``going`` (T,): see _log_likelihood.
    """

    trials: Floats
    successes: Floats
    so_far: Floats
    begun: Floats
    total: Floats
    going: NDArray[np.intp]


def _worth(counts: _Counts, exposure: Floats, days: range) -> Floats:
    """(B, N, S) for the B given days; brings ``exposure`` (N, K, S), the b of each start, to the last one's end."""
    here, starts = slice(days.start, days.stop), slice(0, days.stop)
    shape = counts.so_far[days.start : days.stop + 1, ..., None] - (counts.begun[..., starts] - PRIOR)
    young = shape[..., days.start :]
    np.maximum(young, PRIOR, out=young)
    o, total = counts.successes[here, ..., None], counts.total[here, :, None]
    mean, expected = _expose(counts, shape[:-1], exposure, days)
    spread = np.square(mean)
    spread /= shape[:-1]
    worth = np.diff(_fitting(shape), axis=0)
    worth -= _level(expected * expected, spread.sum(axis=2), total)
    mean *= (total / expected)[:, :, None]
    worth += _deviance(o, mean, shape, spread)
    return worth


def _fitting(shape: Floats) -> Floats:
    """Sum over variants the part of log Gamma(a) beside a log a - a, but for signs and constants."""
    inverse = 1 / shape
    half_logs = np.log(shape)
    half_logs *= 0.5
    tail = np.square(inverse)
    tail *= THIRD_ORDER
    tail += 1 / 12
    tail *= inverse
    tail -= half_logs
    return np.asarray(tail.sum(axis=2))


def _deviance(o: Floats, mean: Floats, shape: Floats, room: Floats) -> Floats:
    """a' log(a' / b') - a log(a / b) - O_i log(expected), summed over variants, less what all starts share.

    It is O log(mean / O) + a' log(a' / (a + mean)): the means of a day add up to its total. Both logarithms are those
    of 1 and what is off: with 10^12 successes a plain one would have no digit left. ``shape`` is a, and one day later
    a' = a + O_i; ``mean`` and ``room`` are written over.
    """
    off = np.subtract(o, mean, out=room)
    change = np.add(shape[:-1], mean, out=mean)
    np.divide(off, change, out=change)
    np.log1p(change, out=change)
    change *= shape[1:]
    with_mean = np.multiply(off, -1 / np.where(o > 0, o, np.inf), out=off)
    np.log1p(np.maximum(with_mean, LEAST_PART, out=with_mean), out=with_mean)
    with_mean *= o
    change += with_mean
    return np.asarray(change.sum(axis=2))


def _level(expected: Floats, spread: Floats, total: Floats) -> Floats:
    """log NB(O; k, k, O), k = expected / spread, less what is the same for every start."""
    k = np.divide(expected, spread, out=np.full_like(spread, PRIOR), where=spread > 0)
    larger = k + total
    return np.asarray(remainder(larger) - remainder(k) - np.log(larger / k) / 2)


def _expose(counts: _Counts, shape: Floats, exposure: Floats, days: range) -> tuple[Floats, Floats]:
    """Compute each start's expectation of the days without levels: n_it a_i / b_i (B, N, K, S), its sum (B, N, S)."""
    mean = np.zeros_like(shape)
    expected = np.ones((len(days), shape.shape[1], days.stop))
    for j, day in enumerate(days):
        rows, past = int(counts.going[day]), slice(0, day + 1)
        n, b = counts.trials[day, :rows, :, None], exposure[:rows, :, past]
        now = np.divide(shape[j, :rows, :, past], b, out=mean[j, :rows, :, past])
        now *= n
        sums = np.add.reduce(now, axis=1)
        expected[j, :rows, past] = sums
        b += n * (counts.total[day, :rows, None] / sums)[:, None]
    return mean, expected
