"""How many visits does a classical test need?

A test of fixed length that compares each variant with the control at the end, two-sided, and looks at nothing
before. Source: Fleiss, Levin & Paik, "Statistical Methods for Rates and Proportions" (3rd ed., 2003), equation
4.14, without continuity correction:

    n = (z_{1 - a/2} sqrt(2 p (1 - p)) + z_{power} sqrt(p_1 (1 - p_1) + p_2 (1 - p_2)))^2 / (p_1 - p_2)^2

with p the mean of p_1 and p_2. Where value is the goal, a success brings 1 on average with a coefficient of variation
cv, and p (1 - p) becomes the variance of a visit's value, p (1 + cv^2) - p^2: about 1 + cv^2 times as many visits. With
K variants there are K - 1 comparisons, each at a = alpha / (K - 1) (Bonferroni): Dunnett's test, which knows that they
share a control, needs a little less.
"""

import math
from statistics import NormalDist
from typing import NamedTuple

ALPHA = 0.05
POWER = 0.80


class FixedHorizon(NamedTuple):
    """The size of a classical test: ``per_variant`` and ``total`` in visits; ``alpha`` of each comparison."""

    per_variant: int
    total: int
    days: int
    alpha: float


def fixed_horizon(
    base_rate: float,
    better_rate: float,
    variants: int,
    daily_traffic: int,
    *,
    alpha: float = ALPHA,
    power: float = POWER,
    value_cv: float = 0.0,
) -> FixedHorizon:
    """Plan the test that finds ``better_rate`` with probability ``power``, traffic split evenly.

    ``value_cv``: how much single values vary, where value is the goal.
    """
    each = alpha / (variants - 1)
    per_variant = math.ceil(sample_size(base_rate, better_rate, each, power, value_cv))
    total = per_variant * variants
    return FixedHorizon(per_variant, total, math.ceil(total / daily_traffic), each)


def sample_size(first: float, second: float, alpha: float, power: float, value_cv: float = 0.0) -> float:
    """Compute the visits for each of two variants; the rates lie inside (0, 1) and differ."""
    normal, mean = NormalDist(), (first + second) / 2
    under_equality = normal.inv_cdf(1 - alpha / 2) * math.sqrt(2 * _variance(mean, value_cv))
    under_difference = normal.inv_cdf(power) * math.sqrt(
        _variance(first, value_cv) + _variance(second, value_cv)
    )
    return (under_equality + under_difference) ** 2 / (first - second) ** 2


def _variance(rate: float, value_cv: float) -> float:
    return rate * (1 - rate + value_cv**2)
