"""Beta posteriors on the logit axis: where their mass lies, and their quantiles.

All integration in the engine runs over z = log(x / (1 - x)), x a rate in (0, 1). There a Beta(a, b)
has the density exp(-drop(z)) up to a constant, with its mode at log(a / b): bell-shaped, log-concave and
smooth for every a, b > 0, also where the density in x is infinite at 0 or 1. ``drop`` is written as a
distance from the mode, so nothing large is ever subtracted: 10^8 trials are as accurate as ten.

Densities are normalised by their own integral; no gamma function is needed (numpy has none).
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Panel edges stand where the log-density has fallen this far below the mode: 2, 4 and 7 standard deviations
# for a normal. Beyond exp(-24.5) there is nothing that 1e-9 could see.
_EDGE_DROPS = np.array([2.0, 8.0, 24.5])
EDGES = 2 * len(_EDGE_DROPS) + 1
_NEWTON_STEPS = 2
# With these panels 12 nodes leave 1e-12 for a few variants and 1e-10 for a hundred.
NODES_PER_PANEL = 12
_MAX_QUANTILE_STEPS = 100
# Up to this many trials the rounding of a logarithm, times the trials, stays below 1e-7.
_HUGE = 3e8
# With a parameter below this the axis grows so long that exp overflows, and beside a huge one
# 1 - alpha / (alpha + beta) loses all its digits.
_TINY = 0.1


@cache
def legendre(order: int) -> tuple[Floats, Floats, Floats]:
    """Gauss-Legendre nodes and weights on [-1, 1], and the matrix that integrates from -1 to each node.

    The matrix integrates the interpolating polynomial exactly (spectral integration).
    """
    nodes, weights = np.polynomial.legendre.leggauss(order)
    degrees = np.arange(order)
    values = np.polynomial.legendre.legvander(nodes, order)
    coefficients = (2 * degrees + 1)[:, None] / 2 * weights * values[:, :order].T
    antiderivative = np.empty((order, order))
    antiderivative[:, 0] = nodes + 1
    # integral of P_k from -1 to x is (P_{k+1}(x) - P_{k-1}(x)) / (2k + 1)
    antiderivative[:, 1:] = (values[:, 2:] - values[:, :-2]) / (2 * degrees[1:] + 1)
    return nodes, weights, antiderivative @ coefficients


def log_density(z: Floats, mode: Floats, alpha: Floats, beta: Floats) -> Floats:
    """Log-density on the logit axis relative to the mode (0 there). Shapes broadcast."""
    distance = z - mode
    total = alpha + beta
    if np.max(total) < _HUGE and min(np.min(alpha), np.min(beta)) > _TINY:
        rate = alpha / total
        return np.asarray(total * (rate * distance - np.log(beta / total + rate * np.exp(distance))))
    # to the right of the mode beta decides how fast the density falls, to the left alpha does
    near = np.where(distance > 0, beta, alpha)
    return -_drop(np.abs(distance), near, total - near)


def _drop(distance: Floats, near: Floats, far: Floats) -> Floats:
    """How far the log-density has fallen at ``distance`` >= 0 from the mode, for any parameters."""
    total = near + far
    pull = near / total
    if np.min(far) > _TINY:
        fallen = np.log1p(pull * np.expm1(-distance))
    else:  # 1 - pull is too small to be had by subtraction
        fallen = np.log(far / total + pull * np.exp(-distance))
    return total * (pull * distance + fallen)


def panel_edges(alpha: Floats, beta: Floats) -> Floats:
    """Where to cut the logit axis for each Beta: (..., K) parameters to (..., K, E) rising positions."""
    left, right = _distance_at_drop(np.stack([alpha, beta]), np.stack([beta, alpha]))
    offsets = np.concatenate([-left[..., ::-1], np.zeros((*alpha.shape, 1)), right], axis=-1)
    return (np.log(alpha) - np.log(beta))[..., None] + offsets


def _distance_at_drop(near: Floats, far: Floats) -> Floats:
    """Distances from the mode, on the side where ``near`` decides, at which the drop is each of _EDGE_DROPS.

    The first guess adds what the two ends of the range ask for: with ``far`` small the density falls like
    exp(-far e^distance), with ``near`` small like exp(-near distance). Newton's steps on the convex drop
    then come down on the root from beyond it. Edges need no more than a rough place.
    """
    near, far = near[..., None], far[..., None]
    by_far, by_near = _EDGE_DROPS / far, _EDGE_DROPS / near
    distance = np.log1p(by_far + np.sqrt(2 * by_far)) + by_near + np.sqrt(2 * by_near)
    for _ in range(_NEWTON_STEPS):
        decay = np.exp(-distance)
        slope = near * far * (1 - decay) / (far + near * decay)
        distance = distance - (_drop(distance, near, far) - _EDGE_DROPS) / slope
    return distance


def quantiles(alpha: Floats, beta: Floats, probabilities: Sequence[float]) -> Floats:
    """The rates x with P(theta <= x) = each of Q ``probabilities``: shape (..., Q); error below 1e-9."""
    mode, edges = np.log(alpha) - np.log(beta), panel_edges(alpha, beta)
    mass = _integral(edges[..., :-1], edges[..., 1:], mode, alpha, beta)
    reached = np.concatenate([np.zeros((*alpha.shape, 1)), np.cumsum(mass, axis=-1)], axis=-1)
    goal = np.asarray(probabilities) * reached[..., -1:]
    panel = np.clip((reached[..., None, :] < goal[..., None]).sum(axis=-1) - 1, 0, mass.shape[-1] - 1)
    low, high = np.take_along_axis(edges, panel, axis=-1), np.take_along_axis(edges, panel + 1, axis=-1)
    under = goal - np.take_along_axis(reached, panel, axis=-1)
    over = goal - np.take_along_axis(reached, panel + 1, axis=-1)
    # Newton from the nearer edge. Should it leave the panel it starts again at the other edge; of the two,
    # the one toward the mode always leads to the root, as the density only falls from there.
    start = np.where(under < -over, low, high)
    missing = np.where(under < -over, under, over)
    root = start
    for _ in range(_MAX_QUANTILE_STEPS):
        density = np.exp(log_density(root, mode[..., None], alpha[..., None], beta[..., None]))
        target = root + (missing - _integral(start, root, mode, alpha, beta)) / density
        step = np.clip(target, low, high) - root
        root = root + step
        if np.all(np.abs(step) <= 1e-11 * (1 + np.abs(root))):
            break
    return np.exp(-np.logaddexp(0, -root))


def _integral(start: Floats, end: Floats, mode: Floats, alpha: Floats, beta: Floats) -> Floats:
    """The unnormalised mass from start to end, both of shape (..., P) on the logit axis; signed."""
    nodes, weights, _ = legendre(NODES_PER_PANEL)
    half = (end - start)[..., None] / 2
    z = start[..., None] + half * (nodes + 1)
    parameters = (array[..., None, None] for array in (mode, alpha, beta))
    return np.asarray((np.exp(log_density(z, *parameters)) * half) @ weights)
