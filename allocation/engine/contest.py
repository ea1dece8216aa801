"""Which variant has the highest rate, and how sure is that? P_i = integral of f_i * prod_{j != i} F_j.

By quadrature, never by sampling: the same posteriors give the same answer on every machine. The axis is cut
wherever one of the variants' densities needs it (beta.panel_edges), so that a variant with 10^8 trials and one
with none are resolved on the same grid. Each panel takes a Gauss-Legendre rule, and F_j is the running integral
of f_j. Measured error below 1e-8.

Functions take ``alpha`` and ``beta``, the Beta posteriors, of shape (..., K). ``present`` (same shape, bool)
marks the variants that exist in a ragged batch, all of them by default; the others answer 0.
Source: Scott, "A modern Bayesian look at the multi-armed bandit" (2010), integrated piecewise.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocation.engine.beta import EDGES, NODES_PER_PANEL, Floats, legendre, log_density, panel_edges

Bools = NDArray[np.bool_]

# Floats in one temporary array: about what a core's own cache holds.
_CHUNK_FLOATS = 1 << 16
# A quantile of the ratio of rates is found when its probability is met this closely.
_PROBABILITY_TOLERANCE = 1e-8
_MAX_ROOT_STEPS = 80


class Contest(NamedTuple):
    """Shape (..., K) each: the chance that a variant's rate is the highest, and what serving it would cost."""

    probability_best: Floats
    expected_loss: Floats


def contest(alpha: ArrayLike, beta: ArrayLike, present: ArrayLike | None = None) -> Contest:
    """probability_best and expected_loss_i = E[max_j theta_j] - E[theta_i], in rate, from the same nodes."""
    a, b, exists = _rows(alpha, beta, present)
    best, loss = np.zeros_like(a), np.zeros_like(a)
    for rows in _chunks(a):
        best[rows], loss[rows] = _contest_rows(a[rows], b[rows], exists[rows])
    shape = np.shape(alpha)
    return Contest(best.reshape(shape), loss.reshape(shape))


def probability_best(alpha: ArrayLike, beta: ArrayLike, present: ArrayLike | None = None) -> Floats:
    """The probability, shape (..., K), that each variant has the highest rate; each row sums to 1.

    Raises ValueError if a parameter is not a positive number or the shapes differ.
    """
    return contest(alpha, beta, present).probability_best


def expected_loss(alpha: ArrayLike, beta: ArrayLike, present: ArrayLike | None = None) -> Floats:
    """The rate given up, on average, by serving each variant instead of the unknown best; never negative."""
    return contest(alpha, beta, present).expected_loss


def probability_within(alpha: Floats, beta: Floats, present: Bools, margin: Floats) -> Floats:
    """P(theta_j <= (1 + margin) * theta_0 for all j > 0), shape (N,): rivals beat the first by no more.

    ``alpha``, ``beta``, ``present`` of shape (N, K), ``margin`` >= 0 of shape (N,), as a fraction of theta_0.
    """
    return _within(alpha, beta, present, panel_edges(alpha, beta), np.log1p(margin))


def margin_at(
    alpha: Floats, beta: Floats, present: Bools, probability: Floats, at_zero: Floats | None = None
) -> Floats:
    """The smallest margin >= 0 with probability_within(margin) >= ``probability``; shape (N,).

    ``at_zero``, the probability_best of the first variant, spares its computation where it is known.
    """
    answer = np.zeros(len(alpha))
    if at_zero is None:
        at_zero = probability_within(alpha, beta, present, answer)
    rows = np.flatnonzero(at_zero < probability)
    if rows.size:
        start = _log_odds(at_zero[rows])
        goal = _log_odds(probability[rows])
        answer[rows] = np.expm1(_root(alpha[rows], beta[rows], present[rows], goal, start))
    return answer


def value_remaining(
    alpha: ArrayLike,
    beta: ArrayLike,
    present: ArrayLike | None,
    lead: ArrayLike,
    best: ArrayLike | None = None,
    level: float = 0.95,
) -> Floats:
    """How much better than the leader the true best may still be: the ``level`` quantile, shape (...).

    The quantile of (theta_max - theta_lead) / theta_lead, a fraction: 0.01 says that with 95% probability no
    variant is more than 1% (relative) better than the leader, ``lead`` (its index, shape (...)).
    ``best``, the leader's own probability_best, saves time where it is known.
    Source: Google Analytics content experiments, after Scott (2010).
    """
    a, b, exists = _rows(alpha, beta, present)
    order = _first(np.asarray(lead).reshape(-1), a.shape[-1])
    a, b, exists = (np.take_along_axis(x, order, axis=-1) for x in (a, b, exists))
    at_zero = None if best is None else np.asarray(best, dtype=np.float64).reshape(-1)
    return margin_at(a, b, exists, np.full(len(a), level), at_zero).reshape(np.shape(alpha)[:-1])


def leader(best: Floats, mean: Floats, present: Bools) -> NDArray[np.intp]:
    """The index, shape (...), of the largest probability_best; ties by mean rate, then by position."""
    front = np.where(present, np.round(best, 12), -1.0)
    tied = front == front.max(axis=-1, keepdims=True)
    return np.argmax(np.where(tied, mean, -1.0), axis=-1)


def _rows(alpha: ArrayLike, beta: ArrayLike, present: ArrayLike | None) -> tuple[Floats, Floats, Bools]:
    a, b = np.asarray(alpha, dtype=np.float64), np.asarray(beta, dtype=np.float64)
    if a.shape != b.shape or a.ndim == 0 or a.shape[-1] == 0:
        raise ValueError(f"alpha and beta must have the same shape (..., K), not {a.shape} and {b.shape}")
    exists = np.ones(a.shape, dtype=bool) if present is None else np.asarray(present, dtype=bool)
    if not (np.isfinite(a) & np.isfinite(b) & (a > 0) & (b > 0) | ~exists).all():
        raise ValueError("alpha and beta must be positive and finite")
    k = a.shape[-1]
    a, b, exists = a.reshape(-1, k), b.reshape(-1, k), exists.reshape(-1, k)
    # An absent variant stands on the place of a present one: its panels then cost no accuracy anywhere.
    stand_in = np.argmax(exists, axis=-1)[:, None]
    nobody = ~exists.any(axis=-1, keepdims=True)
    a = np.where(exists, a, np.where(nobody, 1.0, np.take_along_axis(a, stand_in, axis=-1)))
    b = np.where(exists, b, np.where(nobody, 1.0, np.take_along_axis(b, stand_in, axis=-1)))
    return a, b, exists


def _chunks(alpha: Floats) -> list[slice]:
    n, k = alpha.shape
    size = max(1, _CHUNK_FLOATS // (k * k * EDGES * NODES_PER_PANEL))
    return [slice(start, start + size) for start in range(0, n, size)]


def _contest_rows(alpha: Floats, beta: Floats, present: Bools) -> tuple[Floats, Floats]:
    nodes, weights, _ = legendre(NODES_PER_PANEL)
    edges = np.sort(panel_edges(alpha, beta).reshape(len(alpha), -1), axis=-1)
    half = np.diff(edges)[..., None] / 2
    z = edges[:, :-1, None] + half * (nodes + 1)
    density = np.exp(log_density(z[:, None], *_columns(np.log(alpha) - np.log(beta), alpha, beta)))
    wins = _winning_density(density * half[:, None], present)
    won = wins @ weights
    best = won.sum(axis=-1)
    rate = 1 / (1 + np.exp(-z))
    highest = ((wins.sum(axis=1) * rate) @ weights).sum(axis=-1)
    total = best.sum(axis=-1)
    total[total == 0] = 1  # no variant present
    best /= total[:, None]
    loss = (highest / total)[:, None] - alpha / (alpha + beta)
    return best, np.where(present, np.maximum(loss, 0), 0)


def _winning_density(density: Floats, present: Bools) -> Floats:
    """f_i * prod_{j != i} F_j at every node, from unnormalised densities of shape (N, K, panels, nodes).

    The densities already carry the panels' half-widths. Every f_i is normalised by its own integral.
    """
    _, weights, antiderivative = legendre(NODES_PER_PANEL)
    mass = density @ weights
    total = mass.sum(axis=-1)[..., None, None]
    below = (np.cumsum(mass, axis=-1) - mass)[..., None]
    distribution = (below + density @ antiderivative.T) / total
    distribution[~present] = 1
    # Products of all others from both sides: dividing by F_i would lose everything where it is 0.
    others = np.ones_like(distribution)
    np.cumprod(distribution[:, :-1], axis=1, out=others[:, 1:])
    after = np.ones_like(distribution[:, 0])
    for i in range(distribution.shape[1] - 2, -1, -1):
        after = after * distribution[:, i + 1]
        others[:, i] *= after
    wins: Floats = density / total * others
    wins[~present] = 0
    return wins


def _columns(*arrays: Floats) -> tuple[Floats, ...]:
    return tuple(array[..., None, None] for array in arrays)


def _within(alpha: Floats, beta: Floats, present: Bools, edges: Floats, log_factor: Floats) -> Floats:
    answer = np.empty(len(alpha))
    for rows in _chunks(alpha):
        answer[rows] = _within_rows(alpha[rows], beta[rows], present[rows], edges[rows], log_factor[rows])
    return answer


def _within_rows(alpha: Floats, beta: Floats, present: Bools, edges: Floats, log_factor: Floats) -> Floats:
    """On the axis of the first variant's rate y; the rivals' rates there are (1 + margin) y."""
    nodes, weights, _ = legendre(NODES_PER_PANEL)
    shrunk = _shrink(edges[:, 1:], log_factor[:, None, None])
    edges = np.sort(np.concatenate([edges[:, :1], shrunk], axis=1).reshape(len(alpha), -1), axis=-1)
    half = np.diff(edges)[..., None] / 2
    z = edges[:, :-1, None] + half * (nodes + 1)
    stretched, log_slope = _stretch(z, log_factor[:, None, None])
    place = np.concatenate([z[:, None], np.repeat(stretched[:, None], alpha.shape[1] - 1, axis=1)], axis=1)
    log_f = log_density(place, *_columns(np.log(alpha) - np.log(beta), alpha, beta))
    log_f[:, 1:] += log_slope[:, None]
    wins = _winning_density(np.exp(log_f) * half[:, None], present)
    return np.asarray((wins[:, 0] @ weights).sum(axis=-1))


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
    return np.log(-np.expm1(np.minimum(log_rate, -1e-300)))


def _log_odds(probability: Floats) -> Floats:
    p = np.clip(probability, 1e-300, 1 - 1e-16)
    return np.asarray(np.log(p) - np.log1p(-p))


def _root(alpha: Floats, beta: Floats, present: Bools, goal: Floats, start: Floats) -> Floats:
    """log(1 + margin) where the log-odds of probability_within reach ``goal``; ``start`` are those at 0.

    Secant steps: the log-odds are nearly straight in log(1 + margin). A bracket keeps them honest.
    """
    low, high = np.zeros(len(alpha)), np.full(len(alpha), np.inf)
    last, last_odds = low.copy(), start
    x, edges = _first_guess(alpha, beta, present), panel_edges(alpha, beta)
    # d(probability) = p (1 - p) d(log-odds)
    tolerance = _PROBABILITY_TOLERANCE * (1 + np.exp(goal)) * (1 + np.exp(-goal))
    for _ in range(_MAX_ROOT_STEPS):
        odds = _log_odds(_within(alpha, beta, present, edges, x))
        error = goal - odds
        if np.all(np.abs(error) <= tolerance):
            break
        low, high = np.where(error > 0, x, low), np.where(error > 0, high, x)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = x + error * (x - last) / (odds - last_odds)
        middle = np.where(np.isfinite(high), (low + high) / 2, 2 * x)
        inside = (step > low) & (step < np.minimum(high, 4 * x))
        last, last_odds = x, odds
        x = np.where(np.abs(error) <= tolerance, x, np.where(inside, step, middle))
    return x


def _first_guess(alpha: Floats, beta: Floats, present: Bools) -> Floats:
    """Where a normal approximation of the log-rates puts the 95% point of the best rival's advantage."""
    mean = np.log(alpha / (alpha + beta))
    variance = beta / (alpha * (alpha + beta))
    guess = mean[:, 1:] - mean[:, :1] + 2 * np.sqrt(variance[:, 1:] + variance[:, :1])
    return np.clip(np.where(present[:, 1:], guess, 0).max(axis=1, initial=0), 1e-6, 50)


def _first(index: NDArray[np.intp], k: int) -> NDArray[np.intp]:
    """For each row the order of 0..k-1 with ``index`` moved to the front."""
    order = np.arange(k)[None, :].repeat(len(index), axis=0)
    return np.argsort(np.where(order == index[:, None], -1, order), axis=-1)
