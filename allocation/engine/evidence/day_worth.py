"""How well does each day follow from a regime that began on each day before it?

The model and its log likelihood are in memory.py. A regime's exposures follow day by day from those before; all else is
array work over the pairs of a day and a start, start <= day, in the order of days.

Shapes: N experiments, T days, K variants, P = T (T + 1) / 2 pairs, B of them at a time.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.evidence.log_gamma import remainder
from allocation.engine.posterior.beta import Floats

# Pseudo-counts of a relative rate before its regime's first day: it lies within 2/3 and 3/2 of the others' mean.
PRIOR = 30.0
# The part of its successes that a variant is expected to have, less one: at 0 its logarithm would be infinite.
LEAST_PART = 1e-16 - 1
# The second term of Binet's function; the third is below 4e-11 from a pseudo-count of 30 on.
THIRD_ORDER = -1 / 360
# Floats in one temporary array: an allocator gives blocks of 64 kB and more back to the system, whose pages are dear.
_BLOCK_FLOATS = 16000
# Of one day, which needs fewer of them at once; they are written again for each block.
_DAY_FLOATS = 40000
# Parts of a product of matrices have its numbers to the last bit where each but the last has a multiple of so many
# columns, and the last no fewer: near its end a product adds up in another order.
_COLUMNS = 16
# The product of so many pseudo-counts is a float.
_FACTORS = 8

# Of pairs of days: of one day alone each start is there once, in order.
_Places = NDArray[np.intp] | slice


class Pairs(NamedTuple):
    """The ``day`` and ``start`` of each pair (P,); the place of the same start the day before, or P on the first.

    ``first`` (T + 1,): the place of each day's first pair.
    """

    day: NDArray[np.intp]
    start: NDArray[np.intp]
    before: NDArray[np.intp]
    first: list[int]


@lru_cache(maxsize=64)
def pairs_of(days: int) -> Pairs:
    """The pairs of so many days."""
    day, start = np.tril_indices(days)
    count = np.arange(days + 1)
    first = count * (count + 1) // 2
    before = np.where(start < day, first[day] - day + start, first[days])
    return Pairs(day, start, before, first.tolist())


class _Counts(NamedTuple):
    """Trials, successes and -1 / successes, successes before each day and after, (K, N, T); a day's total (N, T).

    For each day its trials ``by_day`` (T, N, 1, K), and times its successes, ``shared`` (T, N, K, 1).
    """

    trials: Floats
    successes: Floats
    per_success: Floats
    before: Floats
    opening: Floats
    total: Floats
    by_day: Floats
    shared: Floats

    @classmethod
    def of(cls, trials: Floats, successes: Floats) -> "_Counts":
        n, o = (np.ascontiguousarray(counts.transpose(2, 0, 1)) for counts in (trials, successes))
        before, total = np.zeros_like(o), np.add.reduce(o, axis=0)
        np.add.accumulate(o[..., :-1], axis=2, out=before[..., 1:])
        by_day = np.ascontiguousarray(trials.transpose(1, 0, 2))
        shared = by_day * total.T[..., None]
        per_success = -1 / np.where(o > 0, o, np.inf)
        return cls(n, o, per_success, before, PRIOR - before, total, by_day[:, :, None], shared[..., None])


class _Arrays:
    """Arrays for each block to write again: an allocator gives large ones back to the system, whose pages are dear."""

    def __init__(self, count: int) -> None:
        self._kept = [np.empty(0) for _ in range(count)]

    def like(self, place: int, shape: tuple[int, ...]) -> Floats:
        size = math.prod(shape)
        if self._kept[place].size < size:
            self._kept[place] = np.empty(max(size, min(2 * size, _DAY_FLOATS)))
        return self._kept[place][:size].reshape(shape)


def log_worth(trials: Floats, successes: Floats) -> Floats:
    """(N, P + 1): what a day is worth under a start, but for what all starts share, and 0 at the end.

    Every day of the trials (N, T, K) has some.
    """
    size, length, k = trials.shape
    pairs, counts = pairs_of(length), _Counts.of(trials, successes)
    exposure, worth = np.full((k, size, length), PRIOR), np.zeros((size, pairs.first[length] + 1))
    arrays = _Arrays(4)
    fitting, of_prior = np.empty((size, 0)), np.full((size, 1), _fitting_of_prior(k))
    for days in _blocks(pairs.first, length, size * k):
        here = slice(pairs.first[days.start], pairs.first[days.stop])
        now, later = _in_parts(counts, exposure, days, arrays)
        now += later
        so_far = np.concatenate([fitting, later, of_prior], axis=1)
        before = pairs.before[here] - (here.start - days.start)
        worth[:, here] = now - so_far.take(before, axis=1, mode="clip")
        fitting = later[:, -days.stop :]
    return worth


def _blocks(first: list[int], length: int, rows: int) -> Iterator[range]:
    """Days that are worked on together."""
    begin = 0
    while begin < length:
        end = begin + 1
        while end < length and rows * (first[end + 1] - first[begin]) <= _BLOCK_FLOATS:
            end += 1
        yield range(begin, end)
        begin = end


def _in_parts(counts: _Counts, exposure: Floats, days: range, arrays: _Arrays) -> tuple[Floats, Floats]:
    """Answer as _worth does: of a day by itself that is too large, for some of its starts at a time."""
    most = max(1, _DAY_FLOATS // exposure[..., 0].size // _COLUMNS) * _COLUMNS
    if len(days) > 1 or days.stop < most + _COLUMNS:
        return _worth(counts, exposure, days, arrays)
    edges = [*range(0, days.stop - _COLUMNS + 1, most), days.stop]
    parts = (_worth(counts, exposure, days, arrays, slice(*ends)) for ends in pairwise(edges))
    now, later = zip(*parts, strict=True)
    return np.concatenate(now, axis=1), np.concatenate(later, axis=1)


def _worth(
    counts: _Counts, exposure: Floats, days: range, arrays: _Arrays, starts: slice | None = None
) -> tuple[Floats, Floats]:
    """(N, B) each for the given days: the worth but for the fitting, and the fitting a day later.

    Brings ``exposure`` (K, N, T), the b of each start, to the last day's end. ``starts``: some of those of one day.
    """
    pairs = pairs_of(counts.total.shape[1])
    here = slice(pairs.first[days.start], pairs.first[days.stop])
    day: _Places = pairs.day[here]
    start: _Places = pairs.start[here]
    if len(days) == 1:
        day, start = slice(days.start, days.stop), starts or slice(days.stop)
        exposure = exposure[..., start]
    opening, before = _of(counts.opening, start), _of(counts.before, day)
    size = *opening.shape[:2], max(opening.shape[2], before.shape[2])
    shape = np.add(opening, before, out=arrays.like(0, size))
    np.maximum(shape, PRIOR, out=shape)
    mean, room = arrays.like(1, size), arrays.like(2, size)
    expected = _expose(counts, shape, exposure, days, mean, room)
    mean *= _of(counts.trials, day)
    np.square(mean, out=room)
    room /= shape
    total = _of(counts.total, day)
    worth = _level(expected * expected / np.add.reduce(room, axis=0), total)
    mean *= total / expected
    o = _of(counts.successes, day)
    later = np.add(shape, o, out=arrays.like(3, size))
    worth += _deviance(o, _of(counts.per_success, day), mean, shape, later, room)
    return worth, _fitting(later, mean, room)


def _of(numbers: Floats, places: _Places) -> Floats:
    """The numbers of these days, or as a view those of a span of days."""
    return numbers[..., places] if isinstance(places, slice) else numbers.take(places, axis=-1)


def _expose(
    counts: _Counts, shape: Floats, exposure: Floats, days: range, rates: Floats, room: Floats
) -> Floats:
    """The successes (N, B) that each start lets expect on a day without a level; into ``rates`` its a / b (K, N, B).

    ``room`` is written over.
    """
    expected, end = [], 0
    a, b, of_variant, seen = (array.transpose(1, 0, 2) for array in (shape, exposure, rates, room))
    for day in days:
        begin, end = end, end + day + 1
        b_then = b[:, :, : day + 1]
        sums = counts.by_day[day] @ np.divide(a[:, :, begin:end], b_then, of_variant[:, :, begin:end])
        b_then += np.divide(counts.shared[day], sums, seen[:, :, begin:end])
        expected.append(sums)
    return np.concatenate(expected, axis=2)[:, 0]


def _fitting(shape: Floats, inverse: Floats, tail: Floats) -> Floats:
    """Sum over variants the part of log Gamma(a) beside a log a - a, but for signs and constants: (K, ...) to (...).

    ``inverse`` and ``tail`` are written over.
    """
    np.divide(1, shape, out=inverse)
    np.square(inverse, out=tail)
    tail *= THIRD_ORDER
    tail += 1 / 12
    tail *= inverse
    answer = np.add.reduce(tail, axis=0)
    for begin in range(0, len(shape), _FACTORS):
        answer -= np.log(np.multiply.reduce(shape[begin : begin + _FACTORS], axis=0)) / 2
    return np.asarray(answer)


@lru_cache(maxsize=128)
def _fitting_of_prior(variants: int) -> float:
    shape = np.full((variants, 1), PRIOR)
    return float(_fitting(shape, np.empty_like(shape), np.empty_like(shape))[0])


def _deviance(
    o: Floats, per_success: Floats, mean: Floats, shape: Floats, later: Floats, room: Floats
) -> Floats:
    """a' log(a' / b') - a log(a / b) - O_i log(expected), summed over variants, less what all starts share.

    It is O log(mean / O) + a' log(a' / (a + mean)): the means of a day add up to its total. Both logarithms are those
    of 1 and what is off: with 10^12 successes a plain one would have no digit left. ``shape`` is a, and one day
    ``later`` a' = a + O_i; ``mean`` and ``room`` are written over.
    """
    off = np.subtract(o, mean, out=room)
    change = np.add(shape, mean, out=mean)
    np.divide(off, change, out=change)
    np.log1p(change, out=change)
    change *= later
    off *= per_success
    np.log1p(np.maximum(off, LEAST_PART, out=off), out=off)
    off *= o
    change += off
    return np.asarray(np.add.reduce(change, axis=0))


def _level(k: Floats, total: Floats) -> Floats:
    """-log NB(O; k, k, O), k = expected / spread, less what is the same for every start."""
    larger = k + total
    answer = remainder(k)
    answer -= remainder(larger)
    larger /= k
    answer += np.log(larger, out=larger) / 2
    return answer
