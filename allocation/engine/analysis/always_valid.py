"""How much better than the control is a variant, in an interval that may be looked at every day?

A day's successes, given their sum O_t, are a binomial draw: a success is the variant's with the chance
f n_tw / (f n_tw + n_tc), f the ratio of both rates. The day's level cancels, and shares that follow the data do no
harm. So l(f) = (sum_t O_tw) ln f - sum_t O_t ln(f n_tw + n_tc), divided by the dispersion phi, and

    M(f) = integral of exp(l(f')) dF(f') / exp(l(f)),    ln f' ~ N(0, 0.2^2)

is, for the true f, a bet that nobody expects to win: it ever reaches 20 with a chance of at most 5%. The interval is
{f: M(f) < 20}; p is the least of 1 / M(1) on any day so far.

Source: Lindon & Malek, "Anytime-valid inference for multinomial count data" (2022).
Shapes: trials and successes (T, K), all days since the start, oldest first. Answers (K,); lifts are f - 1, fractions.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.posterior.beta import Floats

_SPREAD = 0.2
_PRECISION = 1 / _SPREAD**2
_LEVEL = np.log(20.0)
# Ratios end at 10^9 and its inverse, as in a comparison of posteriors.
_LARGEST_LOG = np.log1p(1e9)
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
_MAX_STEPS = 100
_LARGEST_STEP = 0.5
_CLOSE = 1e-9
# Days by days by nodes in one temporary array: about what a core's own cache holds.
_CHUNK_FLOATS = 1 << 16


class AlwaysValid(NamedTuple):
    """``low`` and ``high``: the 95% confidence sequence of the lift; the control's own entries are 0, 0 and nan."""

    low: Floats
    high: Floats
    p_value: Floats


class _Pair(NamedTuple):
    """Days on which both have trials, (T,): successes of the variant and of both, log of the trials' ratio."""

    own: Floats
    both: Floats
    log_odds: Floats


def always_valid_lift(trials: Floats, successes: Floats, control: int, phi: float = 1.0) -> AlwaysValid:
    """Every variant against the control; ``phi`` is the dispersion."""
    low, high, p = np.zeros(trials.shape[1]), np.zeros(trials.shape[1]), np.full(trials.shape[1], np.nan)
    for variant in range(trials.shape[1]):
        if variant != control:
            pair = _pair(trials, successes, variant, control, phi)
            bets = _log_bets(pair, 0.0)
            low[variant], high[variant] = np.expm1(_interval(pair, float(bets[-1]) if bets.size else 0.0))
            p[variant] = np.exp(-max(float(bets.max(initial=0.0)), 0.0))
    return AlwaysValid(low, high, p)


def log_bets(trials: Floats, successes: Floats, lift: float, phi: float = 1.0) -> Floats:
    """ln M(1 + lift) of the second variant against the first after each of the days on which both have trials."""
    return _log_bets(_pair(trials, successes, 1, 0, phi), float(np.log1p(lift)))


def _pair(trials: Floats, successes: Floats, variant: int, control: int, phi: float) -> _Pair:
    """A day on which either has no trials tells nothing of their ratio."""
    days = (trials[:, variant] > 0) & (trials[:, control] > 0)
    n, o = trials[days], successes[days] / phi
    log_odds = np.log(n[:, variant]) - np.log(n[:, control])
    return _Pair(o[:, variant], o[:, variant] + o[:, control], log_odds)


def _log_bets(pair: _Pair, at: float) -> Floats:
    """ln M(e^at) after each day: the integral over x = ln f' around its mode, by Gauss-Hermite."""
    days = len(pair.own)
    size = max(1, _CHUNK_FLOATS // (max(days, 1) * len(_NODES)))
    chunks = [np.arange(start, min(start + size, days)) for start in range(0, days, size)]
    return np.concatenate([_log_bets_on(pair, at, chunk) for chunk in chunks] or [np.zeros(0)])


def _log_bets_on(pair: _Pair, at: float, days: NDArray[np.intp]) -> Floats:
    until = int(days[-1]) + 1
    both = pair.both[:until] * (np.arange(until) <= days[:, None])  # (D, T): what was known on each day
    own = np.cumsum(pair.own)[days][:, None]
    mode, precision = _modes(both, own, pair.log_odds[:until])
    x = mode + _NODES / np.sqrt(precision)
    chance = _logistic(at + pair.log_odds[:until])[:, None]
    passed = both[:, None, :] @ np.log1p(chance * np.expm1(x - at)[:, None, :])
    log_ratio = own * (x - at) - passed[:, 0] - _PRECISION * x * x / 2
    log_ratio += _NODES**2 / 2
    top = log_ratio.max(axis=1, keepdims=True)
    inside = np.log(np.exp(log_ratio - top) @ _WEIGHTS) + top[:, 0]
    return np.asarray(inside + np.log(_PRECISION / (2 * np.pi * precision[:, 0])) / 2)


def _modes(both: Floats, own: Floats, log_odds: Floats) -> tuple[Floats, Floats]:
    """Where l(x) - x^2 / (2 * 0.2^2) is highest, and how curved it is there; (D, 1) each. It is concave."""
    x = np.zeros_like(own)
    for _ in range(_MAX_STEPS):
        chance = _logistic(x + log_odds)
        slope = own - (both * chance).sum(axis=1, keepdims=True) - _PRECISION * x
        precision = (both * chance * (1 - chance)).sum(axis=1, keepdims=True) + _PRECISION
        step = np.clip(slope / precision, -_LARGEST_STEP, _LARGEST_STEP)
        x = x + step
        if (np.abs(step) * np.sqrt(precision) <= _CLOSE).all():
            break
    return x, precision


def _interval(pair: _Pair, bet: float) -> Floats:
    """Both ends of ln f: where l has fallen to l(1) + ln M(1) - ln 20.

    Newton's steps on a concave curve from outside never pass the root.
    """
    x = np.array([-_LARGEST_LOG, _LARGEST_LOG])
    level, own = bet - _LEVEL, pair.own.sum()
    for _ in range(_MAX_STEPS):
        chance = _logistic(x[:, None] + pair.log_odds)
        slope = own - chance @ pair.both
        missing = level - (own * x - _softplus_rise(x, pair.log_odds) @ pair.both)
        outside = (missing > 0) & (slope != 0)
        step = np.where(outside, missing / np.where(outside, slope, 1.0), 0.0)
        x = x + step
        if (np.abs(step) <= _CLOSE).all():
            break
    return np.where(x <= -_LARGEST_LOG, -np.inf, x)


def _softplus_rise(x: Floats, log_odds: Floats) -> Floats:
    """ln(e^x n_w + n_c) - ln(n_w + n_c), (X, T)."""
    return np.logaddexp(0, x[:, None] + log_odds) - np.logaddexp(0, log_odds)


def _logistic(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))
