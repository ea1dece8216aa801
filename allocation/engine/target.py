"""The share that each variant would get if nothing limited it.

Thompson Sampling serves a variant as often as it is likely to be the best; ``exploitation`` sharpens that,
and ``min_explore_rate`` of the traffic is spread evenly. The floor is mixed in, not clipped and
renormalised, so that it holds exactly. Shapes (N, K); settings broadcast as (N, 1).
"""

import numpy as np

from allocation.engine.limits import project
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools

# Keeps every present variant in the projection, whose bounds may have to lift it.
SMALLEST_TARGET = 1e-12


def uniform(active: Bools) -> Floats:
    """1/K for each active variant."""
    return np.asarray(active / np.maximum(active.sum(axis=-1, keepdims=True), 1))


def target_shares(
    best: Floats, active: Bools, low_evidence: Bools, min_explore_rate: Floats, exploitation: Floats
) -> Floats:
    """p_i = (1 - m) w_i + m / K with w_i proportional to P_i^exploitation; at most 1/K with low evidence.

    What low evidence takes from a variant goes to the others in proportion.
    """
    # Twelve decimals: below them lies the rounding of exp and log, which differs between machines.
    chance = np.where(active, best.round(12), 0)
    power = (chance / np.maximum(chance.max(axis=-1, keepdims=True), SMALLEST_TARGET)) ** exploitation
    power = np.where(active, power, 0)
    even = uniform(active)
    weight = power / np.maximum(power.sum(axis=-1, keepdims=True), SMALLEST_TARGET)
    shares = np.where(
        active, np.maximum((1 - min_explore_rate) * weight + min_explore_rate * even, SMALLEST_TARGET), 0
    )
    held = np.logical_or.reduce(low_evidence & (shares > even), axis=-1).nonzero()[0]
    if held.size:
        highest = np.where(active, np.where(low_evidence, even, 1.0), 0)[held]
        shares[held] = project(shares[held], np.zeros_like(highest), highest, np.ones(len(held)))
    return shares
