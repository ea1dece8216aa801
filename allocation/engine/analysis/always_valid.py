"""How much better than the control is a variant, in an interval that may be looked at every day?

A day's successes, given their sum O_t, are a binomial draw: a success is the variant's with the chance
f n_tw / (f n_tw + n_tc), f the ratio of both rates. The day's level cancels, and shares that follow the data do no
harm. So l(f) = (sum_t O_tw) ln f - sum_t O_t ln(f n_tw + n_tc), divided by the dispersion phi, and

    M(f) = integral of exp(l(f')) dF(f') / exp(l(f)),    ln f' ~ N(0, 0.2^2)

is, for the true f, a bet that nobody expects to win: it ever reaches 20 with a chance of at most 5%. The interval is
{f: M(f) < 20}; p is the least of 1 / M(1) on any day so far.

Where the goal is a value, sums of values bet by their score (always_valid_values.py).

Source: Lindon & Malek, "Anytime-valid inference for multinomial count data" (2022).
Shapes: trials and successes (T, K), all days since the start, oldest first. Answers (K,); lifts are f - 1, fractions.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.analysis import always_valid_values as by_values
from allocation.engine.analysis.pairs import (
    LEVEL,
    PRECISION,
    Pair,
    by_chunks,
    known_on,
    logistic,
    pair_of,
    side_by_side,
)
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools

# Ratios end at 10^9 and its inverse, as in a comparison of posteriors.
_LARGEST_LOG = np.log1p(1e9)
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
_MAX_STEPS = 100
_LARGEST_STEP = 0.5
_CLOSE = 1e-9
# Of ln M: days that fall so far short of the highest by a rough estimate are not computed exactly.
_ROOM = 0.5
_CLOSE_ENOUGH = 0.1
_FEW_STEPS = 4
# Above the largest fifth cumulant of a Bernoulli variable, p (1 - p) (1 - 2 p) (1 - 12 p (1 - p)).
FIFTH = 0.131
# More looks than these take the square of the days; together those at all variants are bounded, too.
MOST_LOOKS, MOST_LOOKS_IN_ALL = 400, 8000
# The estimate works on fewer days at once than fit, so that early days are not padded to the whole history.
_FEWER_DAYS = 4
# Both ends by days by variants in one temporary array.
_CHUNK_FLOATS = 1 << 15


class AlwaysValid(NamedTuple):
    """``low`` and ``high``: the 95% confidence sequence of the lift; the control's own entries are 0, 0 and nan."""

    low: Floats
    high: Floats
    p_value: Floats


def always_valid_lift(
    trials: Floats,
    successes: Floats,
    control: int,
    phi: float = 1.0,
    squares: Floats | None = None,
    *,
    of_all: int = 0,
) -> AlwaysValid:
    """Every variant against the control; ``phi`` is the dispersion. ``squares``: of values, if they are the goal.

    ``of_all``: how many variants the experiment has, where these are some of them: all share the looks.
    """
    variants = max(of_all, trials.shape[1])
    low, high, p = np.zeros(trials.shape[1]), np.zeros(trials.shape[1]), np.full(trials.shape[1], np.nan)
    for some, seen in _groups(trials, control):
        if squares is None:
            pairs = [pair_of(trials, successes, variant, control, phi) for variant in some]
            ends, bet = _of_counts(pairs, seen, variants)
        else:
            of = [by_values.Pair.of(trials, successes, squares, variant, control, phi) for variant in some]
            ends, bet = _of_values(by_values.Pair.together(of, seen))
        low[some], high[some] = np.expm1(ends).T
        p[some] = np.exp(-bet)
    return AlwaysValid(low, high, p)


def _groups(trials: Floats, control: int) -> Iterator[tuple[list[int], Bools]]:
    """As many variants together as a core's own cache holds, and which have trials beside the control's, (V, T).

    Days on which none of a group has are left out.
    """
    both = (trials > 0).T & (trials[:, control] > 0)
    others = [variant for variant in range(len(both)) if variant != control]
    size = max(1, _CHUNK_FLOATS // max(2 * len(trials), 1))
    for start in range(0, len(others), size):
        some = others[start : start + size]
        seen = both[some]
        yield some, seen[:, seen.any(axis=0)]


def _of_counts(pairs: Sequence[Pair], seen: Bools, variants: int) -> tuple[Floats, Floats]:
    """The ends of ln f, (V, 2), and the highest ln M(1) at any look, (V,)."""
    bets = [_bets_that_count(pair, looks(len(pair.own), variants)) for pair in pairs]
    last = np.array([of[-1] if of.size else 0.0 for of in bets])
    return _intervals(pairs, seen, last), np.array([of.max(initial=0.0) for of in bets])


def _of_values(pairs: by_values.Pair) -> tuple[Floats, Floats]:
    return by_values.intervals(pairs), by_values.log_bets(pairs).max(axis=1, initial=0.0)


def log_bets(trials: Floats, successes: Floats, lift: float, phi: float = 1.0) -> Floats:
    """ln M(1 + lift) of the second variant against the first after each of the days on which both have trials."""
    return _log_bets(pair_of(trials, successes, 1, 0, phi), float(np.log1p(lift)))


def _log_bets(pair: Pair, at: float) -> Floats:
    """ln M(e^at) after each day."""
    return by_chunks(lambda days: _log_bets_on(pair, at, days), np.arange(len(pair.own)), len(_NODES))


def _bets_that_count(pair: Pair, days: NDArray[np.intp]) -> Floats:
    """ln M(1) of the last day, which comes last, and of each of these on which it may be the highest, if above 0.

    The estimate, by cumulants where these will do and else Laplace's, is off by much less than the room it is given.
    A day that it should miss would only make the p-value larger, and so still valid.
    """
    estimate = estimate_by_cumulants(pair, days)
    unsure = np.isnan(estimate)
    estimate[unsure] = by_chunks(lambda chosen: _estimate(pair, chosen), days[unsure], _FEWER_DAYS)
    near = estimate >= max(float(estimate.max(initial=0.0)), 0.0) - _ROOM
    near[-1:] = True
    return by_chunks(lambda chosen: _log_bets_on(pair, 0.0, chosen), days[near], len(_NODES))


def looks(days: int, variants: int = 2) -> NDArray[np.intp]:
    """The days at whose end one looks: the last, and each of at most MOST_LOOKS; of more days every second, fourth ...

    More than 20 ``variants`` get MOST_LOOKS_IN_ALL between them.
    A look that is left out can only make the p-value larger, and so still valid.
    """
    every, most = 1, min(MOST_LOOKS, MOST_LOOKS_IN_ALL // variants)
    while days > every * most:
        every *= 2
    return np.unique(np.append(np.arange(every - 1, days, every), np.arange(days)[-1:]))


def estimate_by_cumulants(pair: Pair, days: NDArray[np.intp]) -> Floats:
    """ln M(1) as _estimate has it, from sums that all days share; NaN where these may be too far off.

    A day's ln(1 - p + p e^x) is a series of Bernoulli's cumulants, whose fifth is nowhere above FIFTH. ``off`` is about
    how far the series and the parabola can be off, to their first order, and not strictly a bound.
    """
    p = logistic(pair.log_odds)
    v = p * (1 - p)
    terms = [pair.own - pair.both * p, *(pair.both * by for by in (v, v * (1 - 2 * p), v * (1 - 6 * v), 1))]
    first, second, third, fourth, total = np.cumsum(terms, axis=1)[:, days]
    second += PRECISION
    x = np.zeros(len(days))
    for _ in range(_FEW_STEPS):
        precision = second + x * (third + x * fourth / 2)
        step = (first - x * (second + x * (third / 2 + x * fourth / 6))) / np.maximum(precision, PRECISION)
        x = x + np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
    highest = x * (first - x * (second / 2 + x * (third / 6 + x * fourth / 24)))
    left_out = total * FIFTH * np.abs(x) ** 3
    off = left_out * x * x / 120 + left_out / (12 * precision) + (left_out * x / 24) ** 2 / (2 * precision)
    is_sure = (
        (precision >= PRECISION) & (np.abs(step) * np.sqrt(second) <= _CLOSE_ENOUGH) & (off <= _CLOSE_ENOUGH)
    )
    return np.where(is_sure, highest + np.log(PRECISION / np.maximum(precision, PRECISION)) / 2, np.nan)


def _estimate(pair: Pair, days: NDArray[np.intp]) -> Floats:
    """ln M(1) as if l were a parabola around its mode."""
    both, own, log_odds = known_on(pair, days)
    mode, precision = _modes(both, own, log_odds, _CLOSE_ENOUGH)
    passed = (both * np.log1p(logistic(log_odds) * np.expm1(mode))).sum(axis=1, keepdims=True)
    highest = own * mode - passed - PRECISION * mode * mode / 2
    return np.asarray(highest + np.log(PRECISION / precision) / 2)[:, 0]


def _log_bets_on(pair: Pair, at: float, days: NDArray[np.intp]) -> Floats:
    """The integral over x = ln f' around its mode, by Gauss-Hermite."""
    both, own, log_odds = known_on(pair, days)
    mode, precision = _modes(both, own, log_odds)
    x = mode + _NODES / np.sqrt(precision)
    chance = logistic(at + log_odds)[:, None]
    passed = both[:, None, :] @ np.log1p(chance * np.expm1(x - at)[:, None, :])
    log_ratio = own * (x - at) - passed[:, 0] - PRECISION * x * x / 2
    log_ratio += _NODES**2 / 2
    top = log_ratio.max(axis=1, keepdims=True)
    inside = np.log(np.exp(log_ratio - top) @ _WEIGHTS) + top[:, 0]
    return np.asarray(inside + np.log(PRECISION / (2 * np.pi * precision[:, 0])) / 2)


def _modes(both: Floats, own: Floats, log_odds: Floats, close: float = _CLOSE) -> tuple[Floats, Floats]:
    """Where l(x) - x^2 / (2 * 0.2^2) is highest, and how curved it is there; (D, 1) each. It is concave."""
    x = np.zeros_like(own)
    for _ in range(_MAX_STEPS):
        chance = logistic(x + log_odds)
        slope = own - (both * chance).sum(axis=1, keepdims=True) - PRECISION * x
        precision = (both * chance * (1 - chance)).sum(axis=1, keepdims=True) + PRECISION
        step = np.clip(slope / precision, -_LARGEST_STEP, _LARGEST_STEP)
        x = x + step
        if (np.abs(step) * np.sqrt(precision) <= close).all():
            break
    return x, precision


def _intervals(pairs: Sequence[Pair], seen: Bools, bets: Floats) -> Floats:
    """Both ends of ln f, (V, 2): where l has fallen to l(1) + ln M(1) - ln 20.

    A day without successes adds 0 to l. Newton's steps on a concave curve from outside never pass the root.
    """
    own, both, log_odds = (side_by_side(of, seen)[:, None] for of in zip(*pairs, strict=True))
    x = np.full((len(pairs), 2), _LARGEST_LOG) * (-1, 1)
    level, successes, at_none = (bets - LEVEL)[:, None], own.sum(axis=2), _log_one_more(log_odds)[0]
    for _ in range(_MAX_STEPS):
        risen, chance = _log_one_more(x[..., None] + log_odds)
        slope = successes - np.vecdot(chance, both)
        risen -= at_none  # ln(e^x n_w + n_c) - ln(n_w + n_c)
        missing = level - (successes * x - np.vecdot(risen, both))
        outside = (missing > 0) & (slope != 0)
        step = np.where(outside, missing / np.where(outside, slope, 1.0), 0.0)
        x = x + step
        if (np.abs(step) <= _CLOSE).all():
            break
    return np.where(x <= -_LARGEST_LOG, -np.inf, x)


def _log_one_more(x: Floats) -> tuple[Floats, Floats]:
    """ln(1 + e^x) and the logistic of x, both of one exponential: numpy's logaddexp takes five times as long."""
    small = np.exp(-np.abs(x))
    logistic = np.where(x < 0, small, 1.0) / (1 + small)
    return np.maximum(x, 0) + np.log1p(small), logistic
