"""How likely is it that no rival's rate is more than so many times the first variant's?

With theta_0 the first variant's rate, P = P(theta_j <= e^x theta_0 for all j > 0) is one integral over the rivals'
rates y = e^x theta_0, of the first variant's density at e^-x y times prod_j F_j(y), on the logit axis of y; where e^x
theta_0 is 1 or more, every F_j is 1. On that axis the rivals lie where they always lie, however close to 1, and the
wall at y = 1 is infinitely far away: toward it the first variant's density falls like exp(-z).

Each variant's mass is known up to the edges of its own panels (beta.panel_edges). For one x only the stretch is
integrated in which no factor is 0 or all are 1, and there the panels of the narrowest variant do for all.

Shapes: N experiments, K variants, the first column the leader's; E panel edges. ``log_factor`` is x, 0 or more.
Measured error below 1e-9 where a parameter is tiny or huge, else below 1e-8.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.posterior.beta import (
    PLAIN,
    Floats,
    Grid,
    at,
    between,
    columns,
    integral,
    legendre,
    log_density,
    panel_edges,
    rate_at,
)
from allocation.engine.posterior.panels import FEW, alike, needed_cuts
from allocation.engine.posterior.probability_best import Bools

# Floats in one temporary array: about what a core's own cache holds.
_CHUNK_FLOATS = 1 << 15
# Where the stretched axis bends, and behind the last of the leader's edges before the wall: as in beta.panel_edges.
_BEND = np.array([-10.0, -4.0, 0.0, 4.0, 10.0, 22.0, 40.0])
_BEHIND = np.array([0.0, 4.0, 10.0, 22.0, 40.0, 40.0, 40.0])

# The probability and its derivative at log-factors (M,) of some rows (M,).
Within = Callable[[NDArray[np.intp], Floats], tuple[Floats, Floats]]


class Field(NamedTuple):
    """N experiments, K variants: own panel ``edges`` (N, K, E) on the logit axis, unnormalised mass ``below`` each."""

    alpha: Floats
    beta: Floats
    present: Bools
    mode: Floats
    edges: Floats
    below: Floats

    def rows(self, chosen: NDArray[np.intp]) -> "Field":
        """The chosen rows, in rising order."""
        if len(chosen) == len(self.alpha):
            return self
        return Field(
            self.alpha[chosen],
            self.beta[chosen],
            self.present[chosen],
            self.mode[chosen],
            self.edges[chosen],
            self.below[chosen],
        )


def on(alpha: Floats, beta: Floats, present: Bools, grid: Grid) -> Within:
    """The probability and its derivative at log-factors (M,) of some rows (M,)."""
    edges, mode = panel_edges(alpha, beta, grid), np.log(alpha) - np.log(beta)
    mass = integral(edges[..., :-1], edges[..., 1:], mode, alpha, beta, grid)
    below = np.concatenate([np.zeros((*alpha.shape, 1)), np.cumsum(mass, axis=-1)], axis=-1)
    field = Field(alpha, beta, present, mode, edges, below)
    return lambda rows, log_factor: _within(field.rows(rows), log_factor, grid)


def _within(field: Field, log_factor: Floats, grid: Grid) -> tuple[Floats, Floats]:
    """The probability and its derivative in the log-factor, shape (N,)."""
    probability, rise = np.zeros(len(log_factor)), np.zeros(len(log_factor))
    for rows, cuts in _panels(field, log_factor, grid):
        for some in _chunks(len(rows), field.alpha.shape[1], cuts.shape[1]):
            chunk = rows[some]
            found = _within_rows(field.rows(chunk), log_factor[chunk], cuts[some], grid)
            probability[chunk], rise[chunk] = found
    return probability, rise


def _chunks(rows: int, k: int, cuts: int) -> list[slice]:
    size = max(1, _CHUNK_FLOATS // (k * cuts * PLAIN.nodes))
    return [slice(i, i + size) for i in range(0, rows, size)]


def _panels(field: Field, log_factor: Floats, grid: Grid) -> Iterable[tuple[NDArray[np.intp], Floats]]:
    """Some rows (M,) and their panel edges (M, P + 1) on the axis of the rivals' rates.

    They begin where the last of all variants' distributions leaves 0, and end where the first variant's mass does or
    every rival's.
    """
    own, count = field.edges.copy(), field.present.sum(axis=1)
    own[:, 0] = lead = _stretch(field.edges[:, 0], log_factor[:, None])
    # alone a variant is its own rival
    rivals = field.present & ((np.arange(own.shape[1]) > 0) | (count < 2)[:, None])
    last = np.where(rivals, field.edges[..., -1], -np.inf).max(axis=1)[:, None, None]
    low = np.where(field.present, own[..., 0], -np.inf).max(axis=1)[:, None, None]
    low = np.minimum(low, last)
    high = np.maximum(np.minimum(own[:, :1, -1:], last), low)
    # an absent variant has no panels: how many there are would change where the others' lie
    own, known = np.where(field.present[..., None], own, low), field.present
    bend, bent = _bends(lead, log_factor, low[:, 0, 0], high[:, 0, 0])
    if bent.any():
        # where nothing bends these are the last cuts, and left out
        more = np.where(bent[:, None, None], _beside(lead, bend, own.shape[-1]), high)
        own = np.concatenate([own, more], axis=1)
        known = np.concatenate([known, np.ones((len(own), more.shape[1]), dtype=bool)], axis=1)
    own = between(own, low, high)
    cuts = np.sort(own.reshape(len(low), -1), axis=-1)
    if grid == PLAIN:
        kinds = ((np.flatnonzero(~bent), field.edges[0].size), (np.flatnonzero(bent), cuts.shape[1]))
        return [(rows, cuts[rows, :size]) for rows, size in kinds if rows.size]
    return alike(cuts, needed_cuts(cuts, own, known, count <= FEW))


def _bends(lead: Floats, log_factor: Floats, low: Floats, high: Floats) -> tuple[Floats, Bools]:
    """The place (N,) where the stretched axis bends, and whether more cuts than the variants' are asked for.

    It bends where 1 - y is as large as 1 - e^-x. A leader's panel far longer than it was ends next to the wall,
    or beyond.
    """
    with np.errstate(divide="ignore"):
        bend = -np.log(-np.expm1(-log_factor))
    beside = bend[:, None] + _BEND
    inside = ((beside > low[:, None]) & (beside < high[:, None])).any(axis=1)
    long = lead[:, -2] + _BEHIND[1] < np.minimum(lead[:, -1], high)
    return bend, inside | long | np.isinf(lead[:, -1])


def _beside(lead: Floats, bend: Floats, size: int) -> Floats:
    """Cuts (N, 3, E) at growing distances, as of three variants more: beside the bend, and toward the wall.

    Toward the wall the leader's density falls like exp(-z); that begins at the last two of its edges before there.
    """
    last = np.sort(np.where(np.isfinite(lead), lead, -np.inf), axis=-1)[:, -2:]
    beside = np.stack([bend[:, None] + _BEND, last[:, :1] + _BEHIND, last[:, 1:] + _BEHIND], axis=1)
    more = np.repeat(beside[..., -1:], size - beside.shape[-1], axis=-1)
    return np.concatenate([beside, more], axis=-1)


def _within_rows(field: Field, log_factor: Floats, cuts: Floats, grid: Grid) -> tuple[Floats, Floats]:
    nodes, weights, _ = legendre(grid.nodes)
    half = (cuts[:, 1:] - cuts[:, :-1])[..., None] / 2
    z = cuts[:, :-1, None] + half * (nodes + 1)
    place, complement = _shrink(z, log_factor[:, None, None])
    mode, a, b = columns(field.mode, field.alpha, field.beta)
    total = field.below[:, 0, -1]
    lead = np.exp(log_density(place, mode[:, 0], a[:, 0], b[:, 0], grid.plain))
    rivals = np.exp(log_density(z[:, None], mode[:, 1:], a[:, 1:], b[:, 1:], grid.plain))
    outside = _outside(field, log_factor, cuts, grid)
    below, hazard = _below_all(rivals, half[:, None], outside[:, 1:], field, grid)
    # on the axis of y the density is that on the axis of e^-x y times (1 - y) / (1 - e^-x y)
    slope = np.where(log_factor[:, None, None] == 0, 1, rate_at(-z) / complement)
    won = lead * below * half / total[:, None, None]
    probability = ((won * slope) @ weights).sum(axis=-1)
    # d F_j(e^x theta_0) / dx is the density on the logit axis over 1 - y
    rise = ((won * hazard / complement) @ weights).sum(axis=-1)
    beyond = 1 - outside[:, 0, 0] / total
    return probability + np.maximum(beyond, 0.0), rise


def _outside(field: Field, log_factor: Floats, cuts: Floats, grid: Grid) -> Floats:
    """(N, K, 1): the leader's unnormalised mass before the last cut and the rivals' before the first, on own panels."""
    edges, z = field.edges, np.empty((*field.alpha.shape, 1))
    z[:] = cuts[:, None, :1]
    z[:, 0] = _shrink(cuts[:, -1:], log_factor[:, None])[0]
    panel = (edges <= z).sum(axis=-1, keepdims=True) - 1
    panel = np.minimum(np.maximum(panel, 0), edges.shape[-1] - 2)
    start, end = at(edges, panel), at(edges, panel + 1)
    inside = integral(start, between(z, start, end), field.mode, field.alpha, field.beta, grid)
    return at(field.below, panel) + inside


def _below_all(
    density: Floats, half: Floats, before: Floats, field: Field, grid: Grid
) -> tuple[Floats, Floats]:
    """prod_j F_j and sum_j f_j / F_j at every node, from unnormalised f_j of shape (N, J, panels, nodes).

    ``before`` (N, J, 1): the mass that lies below all panels.
    """
    _, weights, antiderivative = legendre(grid.nodes)
    present, total = field.present[:, 1:], field.below[:, 1:, -1, None, None]
    mass = (density @ weights) * half[..., 0]
    before = before + np.cumsum(mass, axis=-1) - mass
    distribution = (before[..., None] + (density @ antiderivative.T) * half) / total
    distribution = np.minimum(np.maximum(distribution, 1e-200, out=distribution), 1, out=distribution)
    absent = ~present
    distribution[absent] = 1
    density = density / total / distribution
    density[absent] = 0
    return distribution.prod(axis=1), density.sum(axis=1)


def _stretch(z: Floats, log_factor: Floats) -> Floats:
    """logit(factor * x) where z = logit(x): infinite where factor * x >= 1."""
    log_rate = -np.logaddexp(0, -z) + log_factor
    place = np.where(log_rate < 0, log_rate - _log_complement(log_rate), np.inf)
    return np.where(log_factor == 0, z, place)


def _shrink(z: Floats, log_factor: Floats) -> tuple[Floats, Floats]:
    """logit(y / factor) where z = logit(y), and 1 - y / factor."""
    log_rate = -np.logaddexp(0, -z) - log_factor
    complement = -np.expm1(np.minimum(log_rate, -1e-300))
    return np.where(log_factor == 0, z, log_rate - np.log(complement)), complement


def _log_complement(log_rate: Floats) -> Floats:
    """log(1 - x) from log(x)."""
    return np.asarray(np.log(-np.expm1(np.minimum(log_rate, -1e-300))))
