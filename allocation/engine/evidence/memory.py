"""Which days belong to the present?

Hypothesis s: the variants' relative rates have been what they are since day s; a new regime begins on any day with the
chance 1/300. Under s, theta_i ~ Gamma(30 + sum O_i, 30 + sum q_i) over the days s..t-1, with q_it = n_it m_t a trial's
exposure at the level m_t = O_t / sum_i n_it E[theta_i] of the day. Day t, given its total O_t, is worth

    sum_i NB(O_it; a_i, b_i, q_it) - NB(O_t; k, k, O_t),    k = (sum mu)^2 / sum(mu^2 / a), mu_i = q_it a_i / b_i

in log likelihood, NB the negative binomial of a Poisson(q theta) count: the level cancels. Each NB is a difference of
log Gamma(a) - a log b before and after the day, and the O_it log q_it; by Stirling's formula most of that cancels too.

Source: Adams & MacKay, "Bayesian online changepoint detection" (2007).
Shapes: trials and successes (N, T, K), experiments by days by variants, counts divided by the dispersion; days without
trials may stand anywhere and mean nothing. Starts and weights (N, T), rows of starts sum to 1.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.evidence.log_gamma import remainder
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools

# Pseudo-counts of a relative rate before its regime's first day: it lies within 2/3 and 3/2 of the others' mean.
_PRIOR = 30.0
_CHANGE_CHANCE = 1 / 300
_LOG_ODDS = np.log(_CHANGE_CHANCE / (1 - _CHANGE_CHANCE))
# A regime holds every weekday: younger starts count as this old.
_LEAST_DAYS = 7
GROUPS = 5
# A change is reported where a start after the first week, in the last four weeks, is at least this likely.
_CHANGE_FOUND = 0.9
_REPORTED_AFTER, REPORTED_WITHIN = 7, 28
# The part of its successes that a variant is expected to have, less one: at 0 its logarithm would be infinite.
_LEAST_PART = 1e-16 - 1
# The second term of Binet's function; the third is below 4e-11 from a pseudo-count of 30 on.
_THIRD_ORDER = -1 / 360
# Floats in one temporary array: about what a core's own cache holds.
_CHUNK_FLOATS = 1 << 14
_BLOCK_FLOATS = 1 << 15


class Change(NamedTuple):
    """``start`` (N,): the likeliest day of a change in the last weeks, -1 if none is found; ``probability`` of one."""

    start: NDArray[np.intp]
    probability: Floats


def regime_starts(trials: Floats, successes: Floats) -> Floats:
    """How likely it is that the present relative rates began on each day, (N, T)."""
    seen = trials.sum(axis=2) > 0
    order = np.argsort(~seen, axis=1, kind="stable")[..., None]  # days with data first
    days = seen.sum(axis=1)
    n, o = np.take_along_axis(trials, order, axis=1), np.take_along_axis(successes, order, axis=1)
    starts = np.zeros(seen.shape)
    starts[days == 0, :1] = 1
    for rows in _chunks(days, trials.shape[2]):
        kept = int(days[rows[0]])
        starts[rows, :kept] = _starts(n[rows, :kept], o[rows, :kept], days[rows])
    answer = np.zeros(seen.shape)
    np.put_along_axis(answer, order[..., 0], starts, axis=1)
    return answer


def day_weights(starts: Floats) -> Floats:
    """w_t = the chance that day t belongs to the present regime."""
    return np.asarray(np.minimum(np.cumsum(starts, axis=-1), 1.0))


def group_weights(starts: Floats) -> Floats:
    """(N, G, T): the starts cut, in order, into GROUPS of equal probability; the weight of each day in each."""
    in_groups = starts[:, None] * GROUPS
    high, group = np.cumsum(in_groups, axis=-1), np.arange(GROUPS)[:, None]
    part = np.maximum(np.minimum(high, group + 1) - np.maximum(high - in_groups, group), 0)
    return np.asarray(np.minimum(np.cumsum(part, axis=-1), 1.0))


def change_found(starts: Floats, seen: Bools) -> Change:
    """Whether the rates have changed lately; ``seen`` (N, T) marks the days with trials, which alone are counted."""
    since, days = np.cumsum(seen, axis=1) - 1, seen.sum(axis=1, keepdims=True)
    lately = np.where(since >= np.maximum(_REPORTED_AFTER, days - REPORTED_WITHIN), starts, 0.0)
    probability = lately.sum(axis=1)
    found = probability >= _CHANGE_FOUND
    likeliest = np.argmax(lately[found], axis=1) if found.any() else 0
    start = np.full(len(starts), -1)
    start[found] = likeliest
    return Change(start, probability)


def _chunks(days: NDArray[np.intp], k: int) -> list[NDArray[np.intp]]:
    """Rows to work on together: those with most days first; none without."""
    rows = np.argsort(-days, kind="stable")[: int((days > 0).sum())]
    chunks = []
    while rows.size:
        size = max(1, _CHUNK_FLOATS // (int(days[rows[0]]) * k))
        chunks.append(rows[:size])
        rows = rows[size:]
    return chunks


def _starts(trials: Floats, successes: Floats, days: NDArray[np.intp]) -> Floats:
    """Compute the starts of experiments with falling numbers of ``days``, all of them with trials."""
    going = (days[:, None] > np.arange(trials.shape[1])).sum(axis=0)
    worth = _log_likelihood(trials, successes, going)
    log_p = np.full(trials.shape[:2], -np.inf)
    log_p[:, 0] = 0
    for day, rows in enumerate(going.tolist()):
        now = log_p[:rows, : day + 1]
        if day:
            # 1/300 against 299/300 for each older start: the factor that all would share is left out
            begun = np.add.reduce(np.exp(now[:, :day]), axis=1)
            np.add(np.log(begun), _LOG_ODDS, out=now[:, day])
        now += worth[day, :rows, : day + 1]
        now -= np.maximum.reduce(now, axis=1, keepdims=True)
    p = np.exp(log_p)
    return _at_least_a_week(p / _in_order(p), days)


def _at_least_a_week(starts: Floats, days: NDArray[np.intp]) -> Floats:
    youngest = np.maximum(days - _LEAST_DAYS, 0)[:, None]
    place = np.arange(starts.shape[1])
    younger = _in_order(np.where(place > youngest, starts, 0))
    return np.where(place > youngest, 0, starts + younger * (place == youngest))


def _in_order(rows: Floats) -> Floats:
    """Sums (N, 1) of rows, added from left to right: zeros at the end, for others' days, do not change a bit."""
    return np.asarray(np.cumsum(rows, axis=1)[:, -1:])


def _log_likelihood(trials: Floats, successes: Floats, going: NDArray[np.intp]) -> Floats:
    """(T, N, S): what day t is worth under each start s <= t, but for what all starts share.

    ``going`` (T,): how many experiments have a day t; they are the first ones.
    """
    size, length, k = trials.shape
    by_day = np.ascontiguousarray(trials.transpose(1, 0, 2))
    so_far = np.concatenate([np.zeros((1, size, k)), np.cumsum(successes.transpose(1, 0, 2), axis=0)])
    begun = np.ascontiguousarray(so_far.transpose(1, 2, 0))
    counts = _Counts(by_day, successes.transpose(1, 0, 2), so_far, begun, successes.sum(axis=2).T, going)
    worth, exposure = np.empty((length, size, length)), np.full((size, k, length), _PRIOR)
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
    shape = counts.so_far[days.start : days.stop + 1, ..., None] - (counts.begun[..., starts] - _PRIOR)
    young = shape[..., days.start :]
    np.maximum(young, _PRIOR, out=young)
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
    tail *= _THIRD_ORDER
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
    np.log1p(np.maximum(with_mean, _LEAST_PART, out=with_mean), out=with_mean)
    with_mean *= o
    change += with_mean
    return np.asarray(change.sum(axis=2))


def _level(expected: Floats, spread: Floats, total: Floats) -> Floats:
    """log NB(O; k, k, O), k = expected / spread, less what is the same for every start."""
    k = np.divide(expected, spread, out=np.full_like(spread, _PRIOR), where=spread > 0)
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
