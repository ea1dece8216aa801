"""Is a variant's rate more than a part x below the control's? An answer that may be asked for every day.

The bet of always_valid.py with one side: against the ratio f = 1 - x it is placed on ratios below it alone,

    M = integral of exp(l(f')) dF(f') / exp(l(1 - x)),    ln f' = ln(1 - x) - |z|, z ~ N(0, 0.2^2)

with l(f) = (sum_t O_tw) ln f - sum_t O_t ln(f n_tw + n_tc), divided by the dispersion phi. Where the true ratio is
1 - x or more, nobody expects to win it: given a day's successes the variant's part of them has a chance that rises with
f, and each exp(l(f') - l(1 - x)) falls with that part. So it ever reaches 20 with a chance of at most 5%, whatever the
days' levels and however the shares follow the data.

Sums of values bet by their score, as in always_valid_values.py: with W and V the sums of Z_t(1 - x) and V_t(1 - x), W
is expected to be 0 or more where there is no harm, and

    M = 2 sqrt(r / (r + V)) exp(W^2 / (2 (r + V))) Phi(-W / sqrt(r + V)),    r = 1 / 0.2^2,

is the mixture of exp(-g W - g^2 V / 2) over g = |z|, Phi the standard normal distribution.

Source: Lindon & Malek, "Anytime-valid inference for multinomial count data" (2022); mixtures over one side: Howard,
Ramdas, McAuliffe & Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences" (2021), section 3.
Shapes: trials and successes (T, K), all days since the start, oldest first.
"""

import math

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
)
from allocation.engine.posterior.beta import Floats

# Harm is passed on so many days running.
DAYS_RUNNING = 2
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
# The integral ends where the integrand has fallen by a factor of e^-35 or so: nine standard deviations from its
# highest place, or where its slope at the edge alone makes it fall so far.
_DEVIATIONS = 9.0
_FALL = 40.0
_MAX_STEPS = 100
_LARGEST_STEP = 0.5
_CLOSE = 1e-9
_FAR = 30.0


def log_harm(
    trials: Floats,
    successes: Floats,
    variant: int,
    control: int,
    max_fall: float,
    phi: float = 1.0,
    last: int | None = None,
) -> Floats:
    """ln M after each of the days on which both have trials, or after the ``last`` of them; ``max_fall`` is x."""
    pair = pair_of(trials, successes, variant, control, phi)
    days = np.arange(len(pair.own))[-last if last else None :]
    edge = float(np.log1p(-max_fall))
    return by_chunks(lambda chosen: _log_bets_on(pair, edge, chosen), days, len(_NODES))


def log_harm_of_values(
    trials: Floats,
    values: Floats,
    squares: Floats,
    variant: int,
    control: int,
    max_fall: float,
    phi: float = 1.0,
) -> Floats:
    """ln M after each of the days on which both have trials, for a metric of value."""
    pair = by_values.Pair.of(trials, values, squares, variant, control, phi)
    score, variance = map(np.cumsum, pair.score(float(np.log1p(-max_fall))))
    known = variance + PRECISION
    return np.asarray(
        score * score / (2 * known)
        - np.log(known / PRECISION) / 2
        + np.log(2)
        + [_log_normal(x) for x in (-score / np.sqrt(known)).tolist()]
    )


def _log_normal(x: float) -> float:
    """ln Phi(x); far below, where the bet is lost for good, its leading term."""
    if x < -_FAR:
        return -x * x / 2 - math.log(-x * math.sqrt(2 * math.pi))
    return math.log(math.erfc(-x / math.sqrt(2)) / 2)


def harms(log_bets: Floats) -> bool:
    """True where the bet, given up to the last day, reached 20 on its last days running."""
    recent = log_bets[-DAYS_RUNNING:]
    return len(recent) == DAYS_RUNNING and bool((recent >= LEVEL).all())


def _log_bets_on(pair: Pair, edge: float, days: NDArray[np.intp]) -> Floats:
    """The integral over s = |z| from 0, by Gauss-Legendre around its highest place; it is log-concave."""
    both, own, log_odds = known_on(pair, days)
    low, high = _span(both, own, log_odds + edge)
    s = (low + high) / 2 + (high - low) / 2 * _NODES
    chance = logistic(edge + log_odds)[:, None]
    passed = (both[:, None, :] @ np.log1p(chance * np.expm1(-s)[:, None, :]))[:, 0]
    log_ratio = -own * s - passed - PRECISION * s * s / 2
    top = log_ratio.max(axis=1, keepdims=True)
    inside = np.log(np.exp(log_ratio - top) @ _WEIGHTS) + top[:, 0] + np.log((high - low)[:, 0] / 2)
    return np.asarray(inside + np.log(2 * PRECISION / np.pi) / 2)


def _span(both: Floats, own: Floats, log_odds: Floats) -> tuple[Floats, Floats]:
    """Where the integrand counts, (D, 1) each: around its highest place, which is 0 where it falls from there on."""
    s = np.zeros_like(own)
    for _ in range(_MAX_STEPS):
        slope, precision = _slope(both, own, log_odds, s)
        step = np.clip(slope / precision, -_LARGEST_STEP, _LARGEST_STEP)
        moved = np.maximum(s + step, 0.0)
        step, s = moved - s, moved
        if (np.abs(step) * np.sqrt(precision) <= _CLOSE).all():
            break
    slope, precision = _slope(both, own, log_odds, s)
    around = _DEVIATIONS / np.sqrt(precision)
    falls = np.where(s > 0, 0.0, np.maximum(-slope, 0.0))
    return np.maximum(s - around, 0.0), s + np.minimum(around, _FALL / np.maximum(falls, 1e-9))


def _slope(both: Floats, own: Floats, log_odds: Floats, s: Floats) -> tuple[Floats, Floats]:
    chance = logistic(log_odds - s)
    slope = (both * chance).sum(axis=1, keepdims=True) - own - PRECISION * s
    precision = (both * chance * (1 - chance)).sum(axis=1, keepdims=True) + PRECISION
    return slope, precision
