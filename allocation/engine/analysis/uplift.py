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
    """Every variant against the control, from the (K,) posteriors. The uplift is that of the posterior means."""
    mean = alpha / (alpha + beta)
    beats = _beats_control(alpha, beta, control)
    low, high = (_uplift_at(alpha, beta, control, level, beats) for level in _LEVELS)
    own = np.arange(len(alpha)) == control
    uplift = mean / mean[control] - 1
    return Comparison(
        uplift=np.where(own, 0.0, uplift),
        uplift_low=np.where(own, 0.0, low),
        uplift_high=np.where(own, 0.0, high),
        beats_control=np.where(own, np.nan, beats),
    )


def _beats_control(alpha: Floats, beta: Floats, control: int) -> Floats:
    pairs = np.stack([alpha, np.full_like(alpha, alpha[control])], axis=1)
    others = np.stack([beta, np.full_like(beta, beta[control])], axis=1)
    return probability_best(pairs, others)[:, 0]


def _uplift_at(alpha: Floats, beta: Floats, control: int, level: float, beats: Floats) -> Floats:
    """The ``level`` quantile of theta_i / theta_c - 1 for every i."""
    above = 1 - beats < level  # P(ratio <= 1) is below the level: the quantile is a ratio above 1
    a = np.stack([alpha, np.full_like(alpha, alpha[control])], axis=1)
    b = np.stack([beta, np.full_like(beta, beta[control])], axis=1)
    # the leader's column first: the control where the ratio is above 1, else the variant
    a, b = np.where(above[:, None], a[:, ::-1], a), np.where(above[:, None], b[:, ::-1], b)
    wanted = np.where(above, level, 1 - level)
    present: Bools = np.ones(a.shape, dtype=bool)
    margin = margin_at(a, b, present, wanted, np.where(above, 1 - beats, beats))
    return np.where(above, margin, 1 / (1 + margin) - 1)
