"""How much better than the control is each variant, and how sure is that?

Uplift is relative: theta_i / theta_c - 1, a fraction. P(beats control) is a contest of two. The interval holds
the 2.5% and 97.5% quantiles of the ratio of both posteriors, from value_remaining.margin_at: with the control in
front for ratios above 1, with the variant in front, and the ratio upside down, for those below. Ratios end at 10^9.
"""

from typing import NamedTuple

import numpy as np

from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools, probability_best
from allocation.engine.posterior.value_remaining import margin_at

_LEVELS = (0.025, 0.975)


class Comparison(NamedTuple):
    """Shape (K,), all fractions; the control's own entries are 0, 0, 0 and nan."""

    uplift: Floats
    uplift_low: Floats
    uplift_high: Floats
    beats_control: Floats


def compare_to_control(alpha: Floats, beta: Floats, control: int) -> Comparison:
    """Compare every variant with the control, from the (K,) posteriors."""
    own = np.arange(len(alpha)) == control
    found = compare_pairs(alpha, beta, np.full_like(alpha, alpha[control]), np.full_like(beta, beta[control]))
    uplift, low, high = (np.where(own, 0.0, values) for values in found[:3])
    return Comparison(uplift, low, high, np.where(own, np.nan, found.beats_control))


def compare_pairs(alpha: Floats, beta: Floats, control_alpha: Floats, control_beta: Floats) -> Comparison:
    """Compare each of n variants with a control of its own, all four of shape (n,).

    The uplift is that of the posterior means.
    """
    a, b = np.stack([alpha, control_alpha], axis=1), np.stack([beta, control_beta], axis=1)
    mean = a / (a + b)
    beats = probability_best(a, b)[:, 0]
    low, high = (_uplift_at(a, b, level, beats) for level in _LEVELS)
    return Comparison(mean[:, 0] / mean[:, 1] - 1, low, high, beats)


def _uplift_at(a: Floats, b: Floats, level: float, beats: Floats) -> Floats:
    """Find the ``level`` quantile of theta_i / theta_c - 1 for each of n pairs, (n, 2), the control second."""
    above = 1 - beats < level  # P(ratio <= 1) is below the level: the quantile is a ratio above 1
    # the leader's column first: the control where the ratio is above 1, else the variant
    a, b = np.where(above[:, None], a[:, ::-1], a), np.where(above[:, None], b[:, ::-1], b)
    wanted = np.where(above, level, 1 - level)
    present: Bools = np.ones(a.shape, dtype=bool)
    margin = margin_at(a, b, present, wanted, np.where(above, 1 - beats, beats))
    return np.where(above, margin, 1 / (1 + margin) - 1)
