"""How much do so many orders bring, when single orders are of different worth?

Worths are log-normal with a given mean and coefficient of variation (the standard deviation over the mean). The sum and
the sum of squares of few orders are drawn order by order. Those of many are drawn at once, from the normal distribution
with the means, variances and covariance of both sums: E[X^k] = mean^k (1 + cv^2)^(k (k - 1) / 2).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.posterior.beta import Floats

# Orders of shops vary about as much as they are worth.
DEFAULT_CV = 1.0
LEAST_WORTH, LARGEST_WORTH, LARGEST_CV = 0.0001, 1_000_000, 10
# From here on the sums of a cell are as good as normal.
_MANY = 300
# Orders drawn at once.
_CHUNK = 1 << 20


class OrderValues(NamedTuple):
    """``mean`` (K,) or (R, K): the worth of an order of each variant.

    ``cv``, one or (R, 1): the coefficient of variation of single orders.
    """

    mean: Floats
    cv: Floats | float

    def moment(self, power: int) -> Floats:
        """E[X^power], in the shape of the mean."""
        return np.asarray(self.mean**power * (1 + np.square(self.cv)) ** (power * (power - 1) / 2))


def order_values(variants: int, mean: Sequence[float] | None, cv: float | None) -> OrderValues | None:
    """Read what was asked for: None where neither is given, and value is not the goal."""
    if mean is None and cv is None:
        return None
    return OrderValues(
        np.ones(variants) if mean is None else np.array(mean), DEFAULT_CV if cv is None else cv
    )


def draw_values(
    orders: NDArray[np.int64], values: OrderValues, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """The sum and the sum of squares of ``orders`` (..., K) single values."""
    total, squares = np.zeros(orders.shape), np.zeros(orders.shape)
    many = orders > _MANY
    few = ~many
    if few.any():
        mean, cv = (np.broadcast_to(part, orders.shape)[few] for part in values)
        total[few], squares[few] = _one_by_one(orders[few], mean, cv, rng)
    if many.any():
        total[many], squares[many] = _at_once(orders, values, many, rng)
    return total, squares


def _one_by_one(
    orders: NDArray[np.int64], mean: Floats, cv: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """(C,) cells each."""
    sigma = np.sqrt(np.log1p(cv**2))
    total, squares = np.zeros(len(orders)), np.zeros(len(orders))
    size = _CHUNK // _MANY
    for start in range(0, len(orders), size):
        cells = slice(start, start + size)
        cell = np.repeat(np.arange(len(orders[cells])), orders[cells])
        spread = sigma[cells][cell]
        worth = mean[cells][cell] * np.exp(spread * rng.standard_normal(len(cell)) - spread**2 / 2)
        total[cells] = np.bincount(cell, worth, minlength=len(orders[cells]))
        squares[cells] = np.bincount(cell, worth * worth, minlength=len(orders[cells]))
    return total, squares


def _at_once(
    orders: NDArray[np.int64], values: OrderValues, many: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Floats, Floats]:
    n = orders[many]
    first, second, third, fourth = (
        np.broadcast_to(values.moment(power), orders.shape)[many] for power in (1, 2, 3, 4)
    )
    deviation = np.sqrt(second - first**2)
    covariance = third - first * second
    # the part of the squares that follows from the sum, and what is left of their variance
    slope = covariance / np.where(deviation > 0, deviation, 1.0)
    left = np.sqrt(np.maximum(fourth - second**2 - slope**2, 0.0))
    one, other = rng.standard_normal((2, len(n)))
    total = np.maximum(n * first + np.sqrt(n) * deviation * one, 0.0)
    squares = n * second + np.sqrt(n) * (slope * one + left * other)
    return total, np.maximum(squares, total * total / n)
