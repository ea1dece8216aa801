"""How likely is it that no rival's rate is more than so many times the first variant's, for a few ordinary posteriors?

The integral of advantage.py over the rivals' rates y, on every panel of every variant: with few variants there are
few, and each distribution is the running integral of its density, as in probability_best.py. With o = e^z the odds of y
and c = 1 - e^-x, the first variant's rate e^-x y has the logit z - x - log(1 + c o), whose slope in z is 1 / (1 + c o);
its panels are stretched by the inverse, z + x - log(1 - (e^x - 1) e^z). Near the wall at y = 1, where they would bend,
advantage.py integrates.

Shapes: as there; N experiments, K variants, the first column the leader's; E panel edges. Measured error below 1e-8.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.posterior import advantage
from allocation.engine.posterior.advantage import Within
from allocation.engine.posterior.beta import PLAIN, Floats, columns, legendre
from allocation.engine.posterior.probability_best import Bools

# Floats in one temporary array: about what a core's own cache holds.
_CHUNK_FLOATS = 1 << 15
# A leader's edge that is stretched to an odds' part of more than 99% is left to advantage.py.
_NEAR_THE_WALL = 0.01


class _Few(NamedTuple):
    """N posteriors, the logit of their mode, the log of total over beta (N, K), own ``edges`` (N, K, E)."""

    alpha: Floats
    beta: Floats
    present: Bools
    edges: Floats
    mode: Floats
    log_share: Floats

    def rows(self, chosen: NDArray[np.intp]) -> "_Few":
        if len(chosen) == len(self.alpha):
            return self
        return _Few(
            self.alpha[chosen],
            self.beta[chosen],
            self.present[chosen],
            self.edges[chosen],
            self.mode[chosen],
            self.log_share[chosen],
        )


def on(alpha: Floats, beta: Floats, present: Bools, edges: Floats) -> Within:
    """The probability and its derivative at log-factors (M,) above 0 of some rows (M,)."""
    mode = np.log(alpha) - np.log(beta)
    few = _Few(alpha, beta, present, edges, mode, np.log((alpha + beta) / beta))
    return lambda rows, log_factor: _within(few.rows(rows), log_factor)


def _within(few: _Few, log_factor: Floats) -> tuple[Floats, Floats]:
    left = 1 - np.expm1(log_factor)[:, None] * np.exp(few.edges[:, 0])
    near = left[:, -1] < _NEAR_THE_WALL
    if not np.count_nonzero(near):
        return _in_chunks(few, log_factor, _stretched(few, log_factor, left))
    probability, rise = np.empty((2, len(near)))
    rows, others = near.nonzero()[0], (~near).nonzero()[0]
    field = advantage.on(few.alpha[rows], few.beta[rows], few.present[rows], PLAIN)
    probability[rows], rise[rows] = field(np.arange(len(rows)), log_factor[rows])
    if others.size:
        some, x = few.rows(others), log_factor[others]
        probability[others], rise[others] = _in_chunks(some, x, _stretched(some, x, left[others]))
    return probability, rise


def _stretched(few: _Few, log_factor: Floats, left: Floats) -> Floats:
    """logit(e^x rate) of the leader's edges (N, E), ``left`` being 1 - (e^x - 1) o, o their odds."""
    return np.asarray(few.edges[:, 0] + log_factor[:, None] - np.log(left))


def _in_chunks(few: _Few, log_factor: Floats, lead: Floats) -> tuple[Floats, Floats]:
    size = max(1, _CHUNK_FLOATS // (few.edges[0].size * few.alpha.shape[1] * PLAIN.nodes))
    if len(lead) <= size:
        return _within_rows(few, log_factor, lead)
    rows = np.arange(len(lead))
    parts = [rows[start : start + size] for start in range(0, len(lead), size)]
    found = [_within_rows(few.rows(part), log_factor[part], lead[part]) for part in parts]
    probability, rise = zip(*found, strict=True)
    return np.concatenate(probability), np.concatenate(rise)


def _within_rows(few: _Few, log_factor: Floats, lead: Floats) -> tuple[Floats, Floats]:
    nodes, weights, _ = legendre(PLAIN.nodes)
    edges = few.edges.copy()
    edges[:, 0] = lead
    cuts = edges.reshape(len(lead), -1)
    cuts.sort(axis=-1)
    half = ((cuts[:, 1:] - cuts[:, :-1]) / 2)[..., None]
    z = cuts[:, :-1, None] + half * (nodes + 1)
    odds, x = np.exp(z), log_factor[:, None, None]
    bend = 1 - np.expm1(-x) * odds
    place = np.empty((*few.alpha.shape, *z.shape[1:]))
    place[:], place[:, 0] = z[:, None], z - x - np.log(bend)
    density = _density(few, place)
    density[:, 0] /= bend
    mass = (density @ weights) * half[:, None, :, 0]
    total = np.add.reduce(mass, axis=-1)
    below, hazard = _rivals(few, density[:, 1:], mass[:, 1:], half[:, None], total[:, 1:, None, None])
    won = density[:, 0] * below * half
    # d F_j(e^x theta_0) / dx is the density on the logit axis times 1 / (1 - y), which is 1 + odds
    rise = won * hazard * (1 + odds)
    probability, rising = (np.add.reduce(part @ weights, axis=-1) / total[:, 0] for part in (won, rise))
    return probability, rising


def _density(few: _Few, place: Floats) -> Floats:
    """Unnormalised densities (N, K, panels, nodes); see beta.log_density."""
    mode, alpha, beta, share = columns(few.mode, few.alpha, few.beta, few.log_share)
    fallen = np.log1p(np.exp(place))
    fallen -= share
    fallen *= alpha + beta
    place -= mode
    place *= alpha
    place -= fallen
    return np.asarray(np.exp(place, out=place))


def _rivals(few: _Few, density: Floats, mass: Floats, half: Floats, total: Floats) -> tuple[Floats, Floats]:
    """prod_j F_j and sum_j f_j / F_j at every node, from unnormalised f_j of shape (N, J, panels, nodes)."""
    _, _, antiderivative = legendre(PLAIN.nodes)
    distribution = (density @ antiderivative.T) * half
    distribution += (np.add.accumulate(mass, axis=-1) - mass)[..., None]
    distribution /= total
    np.maximum(distribution, 1e-200, out=distribution)
    part = density / total
    part /= distribution
    absent = ~few.present[:, 1:]
    if np.count_nonzero(absent):
        distribution[absent], part[absent] = 1, 0
    return np.multiply.reduce(distribution, axis=1), np.add.reduce(part, axis=1)
