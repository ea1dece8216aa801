"""How likely is it that no rival's rate is more than so many times the first variant's, as rules before 5 found it?

Only for decisions of those rules, which verify_ledger computes again to nine digits: advantage.py finds the same
faster, and something else where this one failed (rates at 1 with a beta below 1).

With theta_0 the first variant's rate, P = P(theta_j <= e^x theta_0 for all j > 0) is one integral over theta_0 = y, of
f_0(y) prod_j F_j(e^x y). Each variant's mass is known up to the edges of its own panels (beta.panel_edges), whatever
x is; for one x only the stretch is integrated in which no factor is 0 or all are 1, and there the panels of the
narrowest variant do for all: a hundred variants cost about what their densities at 100 places cost.

Shapes: N experiments, K variants, the first column the leader's; E panel edges. ``log_factor`` is x, 0 or more.
Measured error below 1e-9. With a beta far below 1 and rates at 1 the stretched mass ends in a wall, next to which no
panel is short enough: 1e-6 as a rule, 1e-2 at worst, and P is then no longer rising.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.posterior.beta import (
    EDGES,
    LONG,
    PLAIN,
    Floats,
    Grid,
    columns,
    integral,
    is_plain,
    legendre,
    log_density,
    panel_edges,
)
from allocation.engine.posterior.panels import FEW, needed_cuts
from allocation.engine.posterior.probability_best import Bools, row_chunks

# Floats in one temporary array: about what a core's own cache holds.
_CHUNK_FLOATS = 1 << 15


class Field(NamedTuple):
    """N experiments, K variants: own panel ``edges`` (N, K, E) on the logit axis, unnormalised mass ``below`` each.

    ``plain`` (N,): see beta.is_plain.
    """

    alpha: Floats
    beta: Floats
    present: Bools
    mode: Floats
    edges: Floats
    below: Floats
    plain: Bools

    def rows(self, chosen: NDArray[np.intp]) -> "Field":
        return Field(
            self.alpha[chosen],
            self.beta[chosen],
            self.present[chosen],
            self.mode[chosen],
            self.edges[chosen],
            self.below[chosen],
            self.plain[chosen],
        )


def spread_out(alpha: Floats, beta: Floats, present: Bools) -> Field:
    """Everything that no margin changes: where each variant's mass lies, on panels of its own."""
    edges, mode = panel_edges(alpha, beta), np.log(alpha) - np.log(beta)
    plain = np.asarray(is_plain(alpha, beta).all(axis=-1))
    mass = np.empty((*alpha.shape, EDGES - 1))
    for rows, grid in row_chunks(alpha, beta):
        start, end = edges[rows, :, :-1], edges[rows, :, 1:]
        mass[rows] = integral(start, end, mode[rows], alpha[rows], beta[rows], grid)
    below = np.concatenate([np.zeros((*alpha.shape, 1)), np.cumsum(mass, axis=-1)], axis=-1)
    return Field(alpha, beta, present, mode, edges, below, plain)


def on(
    alpha: Floats, beta: Floats, present: Bools
) -> Callable[[NDArray[np.intp], Floats], tuple[Floats, Floats]]:
    """The probability and its derivative at log-factors (M,) of some rows (M,)."""
    field = spread_out(alpha, beta, present)
    return lambda rows, log_factor: within(field.rows(rows), log_factor)


def within(field: Field, log_factor: Floats) -> tuple[Floats, Floats]:
    """The probability and its derivative in the log-factor, shape (N,)."""
    probability, rise = np.zeros(len(log_factor)), np.zeros(len(log_factor))
    cuts, panels = _panels(field, log_factor)
    for count, plain in sorted(set(zip(panels.tolist(), field.plain.tolist(), strict=True))):
        rows = np.flatnonzero((panels == count) & (field.plain == plain))
        for chunk in _chunks(rows, field.alpha.shape[1], count):
            edges = cuts[chunk, : count + 1]
            probability[chunk], rise[chunk] = _within_rows(
                field.rows(chunk), log_factor[chunk], edges, PLAIN if plain else LONG
            )
    return probability, rise


def _chunks(rows: NDArray[np.intp], k: int, panels: int) -> list[NDArray[np.intp]]:
    size = max(1, _CHUNK_FLOATS // (k * (panels + 1) * PLAIN.nodes))
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def _panels(field: Field, log_factor: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Panel edges (N, P + 1), on the axis of the first variant's rate y, and how many panels (N,) are to be used.

    They end with the first variant's mass and begin where the last of all variants' distributions leaves 0.
    """
    shrunk = np.concatenate(
        [field.edges[:, :1], _shrink(field.edges[:, 1:], log_factor[:, None, None])], axis=1
    )
    low = np.where(field.present, shrunk[..., 0], -np.inf).max(axis=1)[:, None]
    high = np.maximum(shrunk[:, 0, -1:], low)
    # an absent variant has no panels: how many there are would change where the others' lie
    shrunk = np.where(field.present[..., None], shrunk, low[..., None])
    cuts = np.sort(np.clip(shrunk, low[..., None], high[..., None]).reshape(len(low), -1), axis=-1)
    if field.alpha.shape[1] <= FEW:
        return cuts, np.full(len(cuts), cuts.shape[1] - 1)
    chosen = needed_cuts(cuts, shrunk, field.present, field.present.sum(axis=-1) <= FEW)
    return np.take_along_axis(cuts, chosen, axis=-1), (chosen < cuts.shape[1] - 1).sum(axis=-1)


def _within_rows(field: Field, log_factor: Floats, cuts: Floats, grid: Grid) -> tuple[Floats, Floats]:
    """On the axis of the first variant's rate y; the rivals' rates there are (1 + margin) y."""
    nodes, weights, _ = legendre(grid.nodes)
    half = np.diff(cuts)[..., None] / 2
    z = cuts[:, :-1, None] + half * (nodes + 1)
    stretched, log_slope = _stretch(z, log_factor[:, None, None])
    mode, a, b = columns(field.mode, field.alpha, field.beta)
    lead = (
        np.exp(log_density(z, mode[:, 0], a[:, 0], b[:, 0], grid.plain))
        * half
        / field.below[:, 0, -1, None, None]
    )
    rivals = log_density(stretched[:, None], mode[:, 1:], a[:, 1:], b[:, 1:], grid.plain)
    rivals = np.exp(rivals + log_slope[:, None]) * half[:, None]
    start, start_slope = _stretch(cuts[:, :-1], log_factor[:, None])
    mass = _mass_below(field, np.where(np.isfinite(start_slope), start, np.inf), grid)
    below, hazard = _below_all(rivals, mass, field, grid)
    won = lead * below
    # d F_j((1 + v) y) / d log(1 + v) is the density on the logit axis over 1 - y; per unit of z, hence / half
    speed = (1 + np.exp(np.minimum(z, 50.0))) / np.maximum(half, 1e-12)
    rise = ((won * hazard * speed) @ weights).sum(axis=-1)
    return (won @ weights).sum(axis=-1), rise


def _mass_below(field: Field, z: Floats, grid: Grid) -> Floats:
    """(N, K - 1, P): each rival's unnormalised mass below z (N, P), on its own panels."""
    edges, below, z = field.edges[:, 1:], field.below[:, 1:], z[:, None]
    panel = np.clip((edges[..., None] <= z[:, :, None]).sum(axis=-2) - 1, 0, EDGES - 2)
    start, end = (np.take_along_axis(edges, panel + step, axis=-1) for step in (0, 1))
    rivals = field.mode[:, 1:], field.alpha[:, 1:], field.beta[:, 1:]
    return np.asarray(
        np.take_along_axis(below, panel, axis=-1) + integral(start, np.clip(z, start, end), *rivals, grid)
    )


def _below_all(density: Floats, start: Floats, field: Field, grid: Grid) -> tuple[Floats, Floats]:
    """prod_j F_j and sum_j f_j / F_j at every node, from unnormalised f_j of shape (N, J, panels, nodes).

    ``start`` (N, J, panels) is the mass below each panel.
    """
    antiderivative = legendre(grid.nodes)[2]
    present, total = field.present[:, 1:], field.below[:, 1:, -1, None, None]
    distribution = np.clip((start[..., None] + density @ antiderivative.T) / total, 1e-200, 1)
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
