"""Did visitors arrive as the allocation said? A sample-ratio mismatch means that something loses them.

Observed impressions O_i, pooled over days, against E_i = sum_t N_t a_it, N_t the day's total and a_it the shares in
force. Their covariance is V = sum_t N_t (diag(a_t) - a_t a_t'); (O - E)' V^- (O - E) is chi-square with as many
degrees of freedom as V has rank, K - 1. With constant shares this is Pearson's test.
Source: Fabijan et al., "Diagnosing sample ratio mismatch in online controlled experiments" (2019).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from allocation.engine.posterior.beta import Floats

# One false alarm in a thousand experiments, and enough visitors for the chi-square to be true.
P_VALUE = 0.001
LEAST_EXPECTED = 5
_LARGEST_STEPS = 10_000


@dataclass(frozen=True)
class SampleRatio:
    """``observed`` and ``expected`` impressions (K,); ``mismatch`` is the verdict, False with too little data."""

    observed: Floats
    expected: Floats
    chi_square: float
    degrees_of_freedom: int
    p_value: float
    mismatch: bool


class TrafficSums(NamedTuple):
    """Sums over days, which can be added: impressions (K,), those that the shares let expect (K,), and the products of
    shares weighted by impressions (K, K)."""

    observed: Floats
    expected: Floats
    products: Floats

    def plus(self, other: "TrafficSums") -> "TrafficSums":
        return TrafficSums(*(one + more for one, more in zip(self, other, strict=True)))


def traffic_sums(impressions: Floats, shares: Floats) -> TrafficSums:
    """Add up the days with an allocation in force, (D, K) each; shares of a day sum to 1."""
    served = np.where(shares > 0, impressions, 0)
    totals = served.sum(axis=1)
    return TrafficSums(served.sum(axis=0), totals @ shares, (shares * totals[:, None]).T @ shares)


def sample_ratio(impressions: Floats, shares: Floats) -> SampleRatio | None:
    """The test over the days with an allocation in force, (D, K) each; shares of a day sum to 1."""
    return sample_ratio_of_sums(traffic_sums(impressions, shares))


def sample_ratio_of_sums(sums: TrafficSums) -> SampleRatio | None:
    """The test over the days of the sums.

    A variant without any share has nothing to be compared with and is left out. None where fewer than two remain.
    """
    observed, expected = sums.observed, sums.expected
    covariance = np.diag(expected) - sums.products
    compared = expected > 0
    if compared.sum() < 2:
        return None
    chi_square, freedom = _distance(
        (observed - expected)[compared], covariance[np.ix_(compared, compared)], expected[compared]
    )
    p_value = chi_square_tail(chi_square, freedom)
    enough = bool((expected[compared] >= LEAST_EXPECTED).all())
    return SampleRatio(observed, expected, chi_square, freedom, p_value, enough and p_value < P_VALUE)


def _distance(difference: Floats, covariance: Floats, expected: Floats) -> tuple[float, int]:
    """The squared length of the difference in units of its covariance, and that covariance's rank."""
    size = 1 / np.sqrt(expected)
    values, vectors = np.linalg.eigh(covariance * size[:, None] * size)
    kept = values > 1e-9
    along = (difference * size) @ vectors[:, kept]
    return float((along**2 / values[kept]).sum()), int(kept.sum())


def chi_square_tail(value: float, degrees_of_freedom: int) -> float:
    """P(chi-square > value): the upper incomplete gamma function, by series or continued fraction.

    Source: Abramowitz & Stegun 6.5.29 and 6.5.31, the fraction by Lentz's method.
    """
    a, x = degrees_of_freedom / 2, value / 2
    if x <= 0 or a <= 0:
        return 1.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    return 1 - front * _lower_series(a, x) if x < a + 1 else front * _upper_fraction(a, x)


def _lower_series(a: float, x: float) -> float:
    term = total = 1 / a
    for n in range(1, _LARGEST_STEPS):
        term *= x / (a + n)
        total += term
        if term < total * 1e-16:
            break
    return total


def _upper_fraction(a: float, x: float) -> float:
    b = x + 1 - a
    c, d = 1e300, 1 / b
    result = d
    for n in range(1, _LARGEST_STEPS):
        b += 2
        d = 1 / (n * (a - n) * d + b)
        c = b + n * (a - n) / c
        result *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return result
