"""Which variant has the highest rate, and how sure is that? P_i = integral of f_i * prod_{j != i} F_j.

By quadrature, never by sampling: the same posteriors give the same answer on every machine. The axis is cut wherever
one of the variants' densities needs it (beta.panel_edges), so that a variant with 10^8 trials and one with none are
resolved on the same grid; with many variants wherever they all need it (panels.enough_cuts). Each panel takes a
Gauss-Legendre rule, and F_j is the running integral of f_j. Measured error below 1e-9 where a parameter is tiny or huge
or variants are many, else below 1e-8.

Functions take ``alpha`` and ``beta``, the Beta posteriors, of shape (..., K). ``present`` (same shape, bool)
marks the variants that exist in a ragged batch, all of them by default; the others answer 0.
Source: Scott, "A modern Bayesian look at the multi-armed bandit" (2010), integrated piecewise.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocation.engine.posterior.beta import (
    EDGES,
    GRADED,
    LONG,
    MANY,
    PLAIN,
    Floats,
    Grid,
    columns,
    is_plain,
    legendre,
    log_density,
    panel_edges,
    rate_at,
)
from allocation.engine.posterior.panels import FEW, alike, needed_cuts

Bools = NDArray[np.bool_]

# Floats in one temporary array: about what a core's own cache holds.
_CHUNK_FLOATS = 1 << 15


class Contest(NamedTuple):
    """Shape (..., K): the chance that a variant's rate is the highest, and what serving it would cost."""

    probability_best: Floats
    expected_loss: Floats


def contest(
    alpha: ArrayLike, beta: ArrayLike, present: ArrayLike | None = None, coarse: ArrayLike | None = None
) -> Contest:
    """probability_best and expected_loss_i = E[max_j theta_j] - E[theta_i], in rate, from the same nodes.

    ``coarse`` marks rows (...) to be integrated as before rules 5.
    """
    a, b, exists = checked_rows(alpha, beta, present)
    found = contest_rows(a, b, exists, marked(coarse, len(a)))
    shape = np.shape(alpha)
    return Contest(found.probability_best.reshape(shape), found.expected_loss.reshape(shape))


def contest_rows(
    alpha: Floats, beta: Floats, present: Bools, coarse: Bools, edges: Floats | None = None
) -> Contest:
    """The contest of checked rows (N, K); ``edges`` (N, K, E): their bare panels, where they are known."""
    best, loss = np.zeros(alpha.shape), np.zeros(alpha.shape)
    for rows, grid in _grids(alpha, beta, present, coarse):
        a, b, exists = these = _rows_of(rows, alpha, beta, present)
        own = panel_edges(a, b, grid) if edges is None or grid.graded else edges[rows]
        for some, cuts in _cuts(own, exists, grid):
            chosen = these if len(some) == len(rows) else (a[some], b[some], exists[some])
            best[rows[some]], loss[rows[some]] = _contest_rows(*chosen, cuts, grid)
    return Contest(best, loss)


def _rows_of(
    rows: NDArray[np.intp], alpha: Floats, beta: Floats, present: Bools
) -> tuple[Floats, Floats, Bools]:
    return (alpha, beta, present) if len(rows) == len(alpha) else (alpha[rows], beta[rows], present[rows])


def probability_best(alpha: ArrayLike, beta: ArrayLike, present: ArrayLike | None = None) -> Floats:
    """The probability, shape (..., K), that each variant has the highest rate; each row sums to 1.

    Raises ValueError if a parameter is not a positive number or the shapes differ.
    """
    return contest(alpha, beta, present).probability_best


def expected_loss(alpha: ArrayLike, beta: ArrayLike, present: ArrayLike | None = None) -> Floats:
    """The rate given up, on average, by serving each variant instead of the unknown best; never negative."""
    return contest(alpha, beta, present).expected_loss


def leader(best: Floats, mean: Floats, present: Bools) -> NDArray[np.intp]:
    """The index, shape (...), of the largest probability_best; ties by mean rate, then by position."""
    front = np.where(present, best.round(12), -1.0)
    tied = front == front.max(axis=-1, keepdims=True)
    return np.asarray(np.argmax(np.where(tied, mean, -1.0), axis=-1))


def checked_rows(
    alpha: ArrayLike, beta: ArrayLike, present: ArrayLike | None
) -> tuple[Floats, Floats, Bools]:
    a, b = np.asarray(alpha, dtype=np.float64), np.asarray(beta, dtype=np.float64)
    if a.shape != b.shape or a.ndim == 0 or a.shape[-1] == 0:
        raise ValueError(f"alpha and beta must have the same shape (..., K), not {a.shape} and {b.shape}")
    exists = np.ones(a.shape, dtype=bool) if present is None else np.asarray(present, dtype=bool)
    if not (np.isfinite(a) & np.isfinite(b) & (a > 0) & (b > 0) | ~exists).all():
        raise ValueError("alpha and beta must be positive and finite")
    k = a.shape[-1]
    a, b, exists = a.reshape(-1, k), b.reshape(-1, k), exists.reshape(-1, k)
    if exists.all():
        return a, b, exists
    # An absent variant takes the place of a present one: its panels then cost no accuracy anywhere.
    stand_in = np.argmax(exists, axis=-1)[:, None]
    nobody = ~exists.any(axis=-1, keepdims=True)
    a = np.where(exists, a, np.where(nobody, 1.0, np.take_along_axis(a, stand_in, axis=-1)))
    b = np.where(exists, b, np.where(nobody, 1.0, np.take_along_axis(b, stand_in, axis=-1)))
    return a, b, exists


def marked(coarse: ArrayLike | None, size: int) -> Bools:
    """Which rows (N,) are integrated as before rules 5: by default none."""
    return np.zeros(size, dtype=bool) if coarse is None else np.asarray(coarse, dtype=bool).reshape(size)


def row_chunks(alpha: Floats, beta: Floats) -> list[tuple[NDArray[np.intp], Grid]]:
    """Rows to work on together, few enough for the cache, and the grid that was theirs before rules 5."""
    return _in_chunks(_bare_grids(alpha, beta), alpha.shape[-1])


def _grids(alpha: Floats, beta: Floats, present: Bools, coarse: Bools) -> list[tuple[NDArray[np.intp], Grid]]:
    """Rows to work on together, and their grid."""
    kinds = grids(alpha, beta, present)
    if np.count_nonzero(coarse):
        kinds = [(rows & ~coarse, grid) for rows, grid in kinds]
        kinds += [(rows & coarse, grid) for rows, grid in _bare_grids(alpha, beta)]
    return _in_chunks(kinds, alpha.shape[-1])


def grids(alpha: Floats, beta: Floats, present: Bools) -> list[tuple[Bools, Grid]]:
    """Which rows (N,) take which grid. Each row's is its own, whatever it is computed beside."""
    (plain, _), (odd, _) = _bare_grids(alpha, beta)
    if alpha.shape[-1] <= FEW:
        return [(plain, PLAIN), (odd, GRADED)]
    many = np.asarray(present.sum(axis=-1) > FEW)
    return [(plain & ~many, PLAIN), (plain & many, MANY), (odd, GRADED)]


def _bare_grids(alpha: Floats, beta: Floats) -> list[tuple[Bools, Grid]]:
    """Which rows took which grid before rules 5."""
    plain = np.asarray(is_plain(alpha, beta).all(axis=-1))
    return [(plain, PLAIN), (~plain, LONG)]


def _in_chunks(kinds: Sequence[tuple[Bools, Grid]], k: int) -> list[tuple[NDArray[np.intp], Grid]]:
    size = max(1, _CHUNK_FLOATS // (k * k * EDGES * PLAIN.nodes))
    chosen = [(rows.nonzero()[0], grid) for rows, grid in kinds]
    return [(rows[i : i + size], grid) for rows, grid in chosen for i in range(0, len(rows), size)]


def _contest_rows(
    alpha: Floats, beta: Floats, present: Bools, edges: Floats, grid: Grid
) -> tuple[Floats, Floats]:
    nodes, weights, _ = legendre(grid.nodes)
    half = (edges[:, 1:] - edges[:, :-1])[..., None] / 2
    z = edges[:, :-1, None] + half * (nodes + 1)
    mode, a, b = columns(np.log(alpha) - np.log(beta), alpha, beta)
    density = np.exp(log_density(z[:, None], mode, a, b, grid.plain))
    wins = _winning_density(density * half[:, None], present, grid)
    won = wins @ weights
    best = np.maximum(won.sum(axis=-1), 0)
    highest = ((wins.sum(axis=1) * rate_at(z)) @ weights).sum(axis=-1)
    total = best.sum(axis=-1)
    total[total == 0] = 1  # no variant present
    best /= total[:, None]
    loss = (highest / total)[:, None] - alpha / (alpha + beta)
    return best, np.where(present, np.maximum(loss, 0), 0)


def _cuts(own: Floats, present: Bools, grid: Grid) -> Iterable[tuple[NDArray[np.intp], Floats]]:
    """Some rows (M,) and their panel edges (M, P + 1). Of few ordinary variants all: to spare some takes longer."""
    cuts = np.sort(own.reshape(len(own), -1), axis=-1)
    if grid == PLAIN:
        return [(np.arange(len(cuts)), cuts)]
    return alike(cuts, needed_cuts(cuts, own, present, present.sum(axis=-1) <= FEW))


def _winning_density(density: Floats, present: Bools, grid: Grid) -> Floats:
    """f_i * prod_{j != i} F_j at every node, from unnormalised densities of shape (N, K, panels, nodes).

    The densities already carry the panels' half-widths. Every f_i is normalised by its own integral.
    """
    _, weights, antiderivative = legendre(grid.nodes)
    mass = density @ weights
    total = mass.sum(axis=-1)[..., None, None]
    below = (np.add.accumulate(mass, axis=-1) - mass)[..., None]
    distribution = density @ antiderivative.T
    distribution += below
    distribution /= total
    distribution[~present] = 1
    # Products of all others from both sides: dividing by F_i would lose everything where it is 0.
    k = distribution.shape[1]
    wins = density / total
    wins[~present] = 0
    before, after = np.ones_like(distribution[:, 0]), np.ones_like(distribution[:, 0])
    for i in range(1, k):
        wins[:, i] *= np.multiply(before, distribution[:, i - 1], out=before)
        wins[:, k - 1 - i] *= np.multiply(after, distribution[:, k - i], out=after)
    return np.asarray(wins)
