"""Which rates does each posterior lie below with given probabilities?

The distribution is nearly known at every node of its panels (spectral integration). Between two nodes the log-density
is nearly straight; from where the quantile would then be, Halley's steps lead to it, by the mass since a panel's edge.

Shapes: N posteriors, Q probabilities, M nodes of all panels, in rising order.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.posterior.beta import (
    GRADED,
    PLAIN,
    Floats,
    Grid,
    at,
    between,
    columns,
    integral,
    is_plain,
    legendre,
    log_density,
    panel_edges,
    rate_at,
)

_MAX_STEPS = 100
# A last step as short as this part of the way from node to node leaves less than 1e-10: its cube, where a node's way is
# about a third of a standard deviation.
_SETTLED = 0.005
# Below this Halley's correction would more than double a step; Newton's own step is the safer one there.
_LEAST_BEND = 0.5
# A log-density that rises by less is level.
_LEVEL = 1e-12


def quantiles(
    alpha: Floats, beta: Floats, probabilities: Sequence[float], edges: Floats | None = None
) -> Floats:
    """The rates x with P(theta <= x) = each of Q ``probabilities``: shape (..., Q); error below 1e-9.

    ``edges`` (..., E): the bare panels, where they are known.
    """
    plain, levels = is_plain(alpha, beta), np.array(probabilities)
    found = np.empty((*alpha.shape, len(levels)))
    for rows, grid in ((plain, PLAIN), (~plain, GRADED)):
        if np.count_nonzero(rows):
            a, b = alpha[rows], beta[rows]
            bare = None if edges is None or grid.graded else edges[rows]
            own = panel_edges(a[:, None], b[:, None], grid)[:, 0] if bare is None else bare
            found[rows] = _quantiles(a, b, levels, own, grid)
    return found


def _quantiles(alpha: Floats, beta: Floats, levels: Floats, edges: Floats, grid: Grid) -> Floats:
    """From (N,) parameters to (N, Q) rates. Each row is what it is alone: it stays once it has settled."""
    search = _between_nodes(alpha, beta, levels, edges, grid)
    root, rows = search.guess.copy(), np.arange(len(alpha))
    for _ in range(_MAX_STEPS):
        step = search.step_from(root[rows], grid)
        root[rows] += step
        moving = np.logical_or.reduce(np.abs(step) > _SETTLED * search.way, axis=-1)
        if not np.count_nonzero(moving):
            break
        rows, search = rows[moving], search.rows(moving)
    return np.asarray(np.exp(-np.logaddexp(0, -root)))


class _Search(NamedTuple):
    """N posteriors and, (N, Q), where to look for each quantile: first at ``guess``, about ``way`` from node to node.

    ``missing``: the mass from ``edge`` to the quantile.
    """

    alpha: Floats
    beta: Floats
    mode: Floats
    edge: Floats
    missing: Floats
    guess: Floats
    way: Floats

    def rows(self, chosen: NDArray[np.bool_]) -> "_Search":
        return _Search(*(part[chosen] for part in self))

    def step_from(self, root: Floats, grid: Grid) -> Floats:
        a, b = self.alpha[:, None], self.beta[:, None]
        density = np.exp(log_density(root, self.mode[:, None], a, b, grid.plain))
        newton = (self.missing - integral(self.edge, root, self.mode, self.alpha, self.beta, grid)) / density
        bend = 1 + newton * (a - (a + b) * rate_at(root)) / 2  # Halley: half the log-density's slope
        step = newton / np.where(bend > _LEAST_BEND, bend, 1.0)
        return between(root + step, self.guess - self.way, self.guess + self.way) - root


def _between_nodes(alpha: Floats, beta: Floats, levels: Floats, edges: Floats, grid: Grid) -> _Search:
    nodes, weights, antiderivative = legendre(grid.nodes)
    half, mode = (edges[:, 1:] - edges[:, :-1])[..., None] / 2, np.log(alpha) - np.log(beta)
    z = edges[:, :-1, None] + half * (nodes + 1)
    m, a, b = columns(mode, alpha, beta)
    log_densities = log_density(z, m, a, b, grid.plain)
    density = np.exp(log_densities)
    density *= half
    mass = density @ weights
    reached = np.add.accumulate(mass, axis=-1)
    within = density @ antiderivative.T
    within += (reached - mass)[..., None]
    goal, size = levels * reached[:, -1:], mass.shape[1] * grid.nodes
    z, within, log_densities = (part.reshape(len(alpha), size) for part in (z, within, log_densities))
    last = np.add.reduce(within[:, None] < goal[..., None], axis=-1, dtype=np.intp) - 1
    last = np.minimum(np.maximum(last, 0), size - 2)
    panel, there = last // grid.nodes, at(within, last)
    part = (goal - there) / (at(within, last + 1) - there)
    rise = at(log_densities, last + 1) - at(log_densities, last)
    low = at(z, last)
    way = at(z, last + 1) - low
    missing = goal - at(reached - mass, panel)
    return _Search(alpha, beta, mode, at(edges, panel), missing, low + _straight(part, rise) * way, way)


def _straight(part: Floats, rise: Floats) -> Floats:
    """The part of the way from node to node that holds such a ``part`` of the mass, if the log-density rises evenly."""
    even = np.where(np.abs(rise) < _LEVEL, _LEVEL, rise)
    return np.asarray(np.log1p(np.minimum(np.maximum(part, 0), 1) * np.expm1(even)) / even)
