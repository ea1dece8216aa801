"""How much better than the leader may the best variant still be, as the first engine found it?

Only for decisions of that engine, which verify_ledger computes again to nine digits: value_remaining.py finds the same
faster, and something else where this one failed (rates at 0 or 1, under priors below 1).

With theta_0 the first variant's rate, P(v) = P(theta_j <= (1 + v) theta_0 for all j > 0) is one integral over
theta_0, on the same panels as a contest, in which the rivals' rates are stretched: theta_j = (1 + v) y. The
margin v at which P reaches a level is a quantile of the relative advantage (theta_max - theta_0) / theta_0.

Margins are fractions, 0 to 10^9. Shapes: ``alpha``, ``beta``, ``present`` (N, K), the first column the
leader's. Source: Google Analytics content experiments, after Scott (2010): "value remaining in the
experiment".
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocation.engine.posterior.beta import Floats, Grid, columns, legendre, log_density, panel_edges
from allocation.engine.posterior.probability_best import Bools, checked_rows, row_chunks

# A margin is found when its probability is met this closely.
_TOLERANCE = 1e-8
# A step from this close ends within the tolerance: Hermite's error is the product of both errors squared.
_NEAR = 1e-6
_MAX_STEPS = 80
# Tukey's lambda that is closest to the normal distribution: its quantile function is nearly the probit.
_LAMBDA = 0.135
# A leader with next to no successes may be beaten by any factor; margins end at a billion.
_LARGEST_MARGIN = 1e9
_LARGEST_LOG = np.log1p(_LARGEST_MARGIN)
# The probit gains this much where the score gains one, in the middle of the range.
_SPREAD_PER_SCORE = 0.68


class _Point(NamedTuple):
    """Log-factor log(1 + margin), score of its probability there, and the log-factor's slope in the score."""

    x: Floats
    score: Floats
    slope: Floats


def _margin_at(
    alpha: Floats, beta: Floats, present: Bools, probability: Floats, at_zero: Floats | None = None
) -> Floats:
    """The smallest margin >= 0 with probability_within(margin) >= ``probability``; shape (N,).

    ``at_zero``, the probability_best of the first variant, spares its computation where it is known.
    """
    answer = np.zeros(len(alpha))
    if at_zero is None:
        at_zero = _within(alpha, beta, present, panel_edges(alpha, beta), answer)[0]
    rows = np.flatnonzero(at_zero < probability)
    if rows.size:
        log_factor = _root(alpha[rows], beta[rows], present[rows], probability[rows], at_zero[rows])
        answer[rows] = np.expm1(log_factor)
    return answer


def first_value_remaining(
    alpha: ArrayLike,
    beta: ArrayLike,
    present: ArrayLike | None,
    lead: ArrayLike,
    best: ArrayLike | None = None,
    level: float = 0.95,
) -> Floats:
    """How much better than the leader the true best may still be: the ``level`` quantile, shape (...).

    0.01 says that with 95% probability no variant is more than 1% (relative) better than the leader, ``lead``
    (its index, shape (...)). ``best``, the leader's own probability_best, saves time where it is known.
    """
    a, b, exists = checked_rows(alpha, beta, present)
    order = _first(np.asarray(lead).reshape(-1), a.shape[-1])
    a, b = np.take_along_axis(a, order, axis=-1), np.take_along_axis(b, order, axis=-1)
    exists = np.take_along_axis(exists, order, axis=-1)
    at_zero = None if best is None else np.asarray(best, dtype=np.float64).reshape(-1)
    return _margin_at(a, b, exists, np.full(len(a), level), at_zero).reshape(np.shape(alpha)[:-1])


def _first(index: NDArray[np.intp], k: int) -> NDArray[np.intp]:
    """For each row the order of 0..k-1 with ``index`` moved to the front."""
    order = np.arange(k)[None, :].repeat(len(index), axis=0)
    return np.argsort(np.where(order == index[:, None], -1, order), axis=-1, kind="stable")


def _within(
    alpha: Floats, beta: Floats, present: Bools, edges: Floats, log_factor: Floats
) -> tuple[Floats, Floats]:
    """The probability and its derivative in the log-factor."""
    probability, derivative = np.empty(len(alpha)), np.empty(len(alpha))
    for rows, grid in row_chunks(alpha, beta):
        probability[rows], derivative[rows] = _within_rows(
            alpha[rows], beta[rows], present[rows], edges[rows], log_factor[rows], grid
        )
    return probability, derivative


def _within_rows(
    alpha: Floats, beta: Floats, present: Bools, edges: Floats, log_factor: Floats, grid: Grid
) -> tuple[Floats, Floats]:
    """On the axis of the first variant's rate y; the rivals' rates there are (1 + margin) y."""
    nodes, weights, _ = legendre(grid.nodes)
    shrunk = _shrink(edges[:, 1:], log_factor[:, None, None])
    edges = np.sort(np.concatenate([edges[:, :1], shrunk], axis=1).reshape(len(alpha), -1), axis=-1)
    half = np.diff(edges)[..., None] / 2
    z = edges[:, :-1, None] + half * (nodes + 1)
    stretched, log_slope = _stretch(z, log_factor[:, None, None])
    mode, a, b = columns(np.log(alpha) - np.log(beta), alpha, beta)
    lead = np.exp(log_density(z, mode[:, 0], a[:, 0], b[:, 0], grid.plain)) * half
    rivals = log_density(stretched[:, None], mode[:, 1:], a[:, 1:], b[:, 1:], grid.plain)
    rivals = np.exp(rivals + log_slope[:, None]) * half[:, None]
    below, hazard = _below_all(rivals, present[:, 1:], grid)
    won, all_of_it = lead * below, (lead @ weights).sum(axis=-1)
    # d F_j((1 + v) y) / d log(1 + v) is the density on the logit axis over 1 - y; per unit of z, hence / half
    speed = (1 + np.exp(np.minimum(z, 50.0))) / np.maximum(half, 1e-12)
    rise = ((won * hazard * speed) @ weights).sum(axis=-1)
    return (won @ weights).sum(axis=-1) / all_of_it, rise / all_of_it


def _below_all(density: Floats, present: Bools, grid: Grid) -> tuple[Floats, Floats]:
    """prod_j F_j and sum_j f_j / F_j at every node, from unnormalised f_j of shape (N, J, panels, nodes)."""
    _, weights, antiderivative = legendre(grid.nodes)
    mass = density @ weights
    total = mass.sum(axis=-1)[..., None, None]
    before = (np.cumsum(mass, axis=-1) - mass)[..., None]
    distribution = np.maximum((before + density @ antiderivative.T) / total, 1e-200)
    distribution[~present] = 1
    density = density / total / distribution
    density[~present] = 0
    return distribution.prod(axis=1), density.sum(axis=1)


def _shrink(z: Floats, log_factor: Floats) -> Floats:
    """logit(x / factor) where z = logit(x), factor >= 1."""
    log_rate = -np.logaddexp(0, -z) - log_factor
    return np.where(log_factor == 0, z, log_rate - _log_complement(log_rate))


def _stretch(z: Floats, log_factor: Floats) -> tuple[Floats, Floats]:
    """logit(factor * x) where z = logit(x), and the log of its slope in z: -inf where factor * x >= 1."""
    log_rate = -np.logaddexp(0, -z)
    log_stretched = log_rate + log_factor
    inside = log_stretched < 0
    log_stretched = np.where(inside, log_stretched, log_rate)
    complement = _log_complement(log_stretched)
    place = np.where(log_factor == 0, z, log_stretched - complement)
    slope = np.where(log_factor == 0, 0, _log_complement(log_rate) - complement)
    return place, np.where(inside, slope, -np.inf)


def _log_complement(log_rate: Floats) -> Floats:
    """log(1 - x) from log(x)."""
    return np.asarray(np.log(-np.expm1(np.minimum(log_rate, -1e-300))))


def _score(probability: Floats) -> tuple[Floats, Floats]:
    """A stand-in for the probit, in which P is nearly straight in log(1 + margin); and its slope in P."""
    p, q = np.clip(probability, 1e-60, 1), np.clip(1 - probability, 1e-16, 1)
    return (p**_LAMBDA - q**_LAMBDA) / _LAMBDA, p ** (_LAMBDA - 1) + q ** (_LAMBDA - 1)


@np.errstate(over="ignore", invalid="ignore")  # steps that overflow leave the bracket, and are not taken
def _root(alpha: Floats, beta: Floats, present: Bools, goal: Floats, at_zero: Floats) -> Floats:
    """log(1 + margin) where probability_within reaches ``goal``: inverse Hermite steps inside a bracket."""
    low, high = np.zeros(len(alpha)), np.full(len(alpha), _LARGEST_LOG)
    edges, (wanted, _), (start, _) = panel_edges(alpha, beta), _score(goal), _score(at_zero)
    last, last_error = _Point(low, start, np.full(len(alpha), np.nan)), np.ones(len(alpha))
    x = _first_guess(alpha, beta, present, wanted - start)
    rows = np.arange(len(alpha))
    for _ in range(_MAX_STEPS):
        probability, rise = _within(alpha[rows], beta[rows], present[rows], edges[rows], x[rows])
        score, steepness = _score(probability)
        here, error = _Point(x[rows], score, _over(1.0, steepness * rise)), np.abs(goal[rows] - probability)
        under = probability < goal[rows]
        low[rows], high[rows] = np.where(under, x[rows], low[rows]), np.where(under, high[rows], x[rows])
        step = _inside(_hermite(last, here, wanted[rows]), low[rows], high[rows], x[rows])
        x[rows] = np.where(error <= _TOLERANCE, x[rows], step)
        moving = (error * last_error > _NEAR) & (low[rows] < _LARGEST_LOG)
        rows, last_error = rows[moving], error[moving]
        last = _Point(*(array[moving] for array in here))
        if not rows.size:
            break
    return x


def _first_guess(alpha: Floats, beta: Floats, present: Bools, rise: Floats) -> Floats:
    """Guess the step: what the score has to rise by, times the spread of the log-ratio to the strongest rival."""
    mean = np.log(alpha / (alpha + beta))
    variance = beta / (alpha * (alpha + beta))
    spread = np.sqrt(variance[:, 1:] + variance[:, :1])
    reach = np.where(present[:, 1:], mean[:, 1:] - mean[:, :1] + 2 * spread, -np.inf)
    strongest = np.argmax(reach, axis=1)[:, None]
    spread = np.take_along_axis(spread, strongest, axis=1)[:, 0]
    return np.asarray(np.clip(rise * spread * _SPREAD_PER_SCORE, 1e-9, _LARGEST_LOG))


def _hermite(last: _Point, here: _Point, wanted: Floats) -> Floats:
    """The log-factor at score ``wanted``, from both points and their slopes; the first point has none yet."""
    gap, ahead = here.score - last.score, wanted - here.score
    chord = _over(here.x - last.x, gap)
    bend = _over(here.slope - chord, gap)
    twist = np.where(np.isnan(last.slope), 0.0, _over(here.slope + last.slope - 2 * chord, gap * gap))
    return here.x + ahead * (here.slope + ahead * (bend + (ahead + gap) * twist))


def _inside(step: Floats, low: Floats, high: Floats, x: Floats) -> Floats:
    """The step where it stays in the bracket and is no leap, else twice as far, or the bracket's middle."""
    further = np.where(high < _LARGEST_LOG, (low + high) / 2, np.minimum(2 * x, high))
    return np.where((step > low) & (step < np.minimum(high, 4 * x)), step, further)


def _over(numerator: Floats | float, denominator: Floats) -> Floats:
    """The quotient; nan, which no bracket accepts, where the denominator is 0."""
    return np.asarray(numerator / np.where(denominator == 0, np.nan, denominator))
