"""Which rates does each posterior lie below with given probabilities, as rules before 7 found them?

Only for decisions of those rules: quantiles.py finds them in fewer steps, and on panels that a tiny parameter's bend
needs. There these are off by up to 2e-5.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from allocation.engine.posterior.beta import (
    LONG,
    PLAIN,
    Floats,
    Grid,
    at,
    between,
    integral,
    is_plain,
    log_density,
    panel_edges,
    rate_at,
)

_MAX_STEPS = 100
# Below this Halley's correction would more than double a step; Newton's own step is the safer one there.
_LEAST_BEND = 0.5


def earlier_quantiles(alpha: Floats, beta: Floats, probabilities: Sequence[float]) -> Floats:
    """The rates x with P(theta <= x) = each of Q ``probabilities``: shape (..., Q)."""
    plain, found = is_plain(alpha, beta), np.empty((*alpha.shape, len(probabilities)))
    for rows, grid in ((plain, PLAIN), (~plain, LONG)):
        if rows.any():
            found[rows] = _quantiles(alpha[rows], beta[rows], np.asarray(probabilities), grid)
    return found


def _quantiles(alpha: Floats, beta: Floats, probabilities: Floats, grid: Grid) -> Floats:
    """From (N,) parameters to (N, Q) rates. Each row is what it is alone: it stays once it has settled."""
    mode, edges = np.log(alpha) - np.log(beta), panel_edges(alpha, beta, grid)
    mass = integral(edges[..., :-1], edges[..., 1:], mode, alpha, beta, grid)
    reached = np.concatenate([np.zeros((*alpha.shape, 1)), np.cumsum(mass, axis=-1)], axis=-1)
    goal = probabilities * reached[..., -1:]
    below = (reached[..., None, :] < goal[..., None]).sum(axis=-1) - 1
    panel = np.minimum(np.maximum(below, 0), mass.shape[-1] - 1)
    low, high = at(edges, panel), at(edges, panel + 1)
    under, over = goal - at(reached, panel), goal - at(reached, panel + 1)
    # Newton from the nearer edge. Should it leave the panel it starts again at the other edge; of the two,
    # the one toward the mode always leads to the root, as the density only falls from there.
    start = np.where(under < -over, low, high)
    missing = np.where(under < -over, under, over)
    root, rows = start.copy(), np.arange(len(alpha))
    search = _Search(alpha, beta, mode, start, missing, low, high)
    for _ in range(_MAX_STEPS):
        step = search.step_from(root[rows], grid)
        root[rows] += step
        # the error left is of the order of the step's cube
        moving = (np.abs(step) > 1e-4 * (search.high - search.low)).any(axis=-1)
        if not moving.any():
            break
        if not moving.all():
            rows, search = rows[moving], _Search(*(part[moving] for part in search))
    return np.asarray(np.exp(-np.logaddexp(0, -root)))


class _Search(NamedTuple):
    """N posteriors and, (N, Q), the ``missing`` mass from ``start`` to each quantile, between ``low`` and ``high``."""

    alpha: Floats
    beta: Floats
    mode: Floats
    start: Floats
    missing: Floats
    low: Floats
    high: Floats

    def step_from(self, root: Floats, grid: Grid) -> Floats:
        a, b = self.alpha[:, None], self.beta[:, None]
        density = np.exp(log_density(root, self.mode[:, None], a, b, grid.plain))
        newton = (self.missing - integral(self.start, root, self.mode, self.alpha, self.beta, grid)) / density
        bend = 1 + newton * (a - (a + b) * rate_at(root)) / 2  # Halley: half the log-density's slope
        step = newton / np.where(bend > _LEAST_BEND, bend, 1.0)
        return between(root + step, self.low, self.high) - root
