"""How much does a visitor's value say, when orders are of different worth?

Of variant i on day t the sum s_it and the sum of squares q_it of single values are known, from n_it trials. A sum of
values varies phi times as much as a count would, phi the spread, in the unit of the values (for orders of worth X about
E[X^2] / E[X]):

    phi_i = sum_t [q_it - s_it^2 / n_it] n_it / (n_it - 1) / sum_t s_it

over days with two trials or more. A variant's own phi_i is drawn toward that of all variants together as if that had
been seen in 20 effective orders more; phi_i itself counts E_i = s_i^2 / q_i of them. Divided by phi, values are counts
of effective orders: the model of day levels holds for them as it stands, since a Poisson pseudo-likelihood is
consistent for any non-negative outcome. The posterior of the value per trial theta_i is

    Gamma(a + d_i S_i / phi_i, a / mu + d_i n*_i / phi_i),

a = alpha_prior effective orders strong [1] and centred on mu, the experiment's own value per trial. In small units a
Gamma is a Beta: with U = 10^5 times the largest mean, and k the shape, theta_i / U has nearly the Beta(k, k (U /
theta_i - 1)), whose means are equal and whose spread is smaller by 10^-5 of itself. So U / phi trials of one visitor
each are counted for every visitor, and all that works on rates works on values: probabilities are off by about 2e-6.

Source: Gourieroux, Monfort & Trognon, "Pseudo maximum likelihood methods" (1984).
Shapes: trials, values and squares (N, T, K), experiments by days by variants; zeros where there is no data. Experiments
of counts have squares of NaN; their spread and unit are 1.
"""

from typing import NamedTuple

import numpy as np

from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools

# Effective orders that the pooled spread counts for beside a variant's own.
_POOLED_ORDERS = 20.0
# How far rates in units of U are from 1.
_REMOTE = 1e5
# Values per visitor are never taken to vary by less than 1% of their mean: what does not vary would be known for sure.
_LEAST_SPREAD = 1e-4
# A variant with fewer effective orders is not judged.
ENOUGH_ORDERS = 20.0
# Where one order may make so much of a variant's value, it alone may decide.
LARGEST_PART = 0.1


class Units(NamedTuple):
    """``pooled`` (N,) and ``spread`` (N, K): phi, drawn toward the pooled one. ``unit`` (N,): U; all 1 for counts."""

    pooled: Floats
    spread: Floats
    unit: Floats
    are_values: Bools

    @property
    def some(self) -> bool:
        """Whether any experiment of the batch has values."""
        return bool(np.count_nonzero(self.are_values))

    @property
    def own(self) -> Floats:
        """(N, K): a variant's effective orders, by its own spread, for each by the pooled one."""
        return np.asarray(self.pooled[:, None] / self.spread)

    def counts(self, trials: Floats, values: Floats) -> tuple[Floats, Floats]:
        """Trials and successes of the model: effective orders by the pooled spread, at rates of about 1e-5."""
        if not self.some:
            return trials, values
        return trials * (self.unit / self.pooled)[:, None, None], values / self.pooled[:, None, None]

    def trials(self, of_model: Floats) -> Floats:
        """Trials (N, K) from those of the model."""
        return of_model * (self.pooled / self.unit)[:, None] if self.some else of_model

    def values(self, of_model: Floats) -> Floats:
        """Sums of values (N, K) from the successes of the model."""
        return of_model * self.pooled[:, None] if self.some else of_model

    def orders(self, of_model: Floats) -> Floats:
        """Effective orders (N, K); infinite for counts, which are never too few to show how they spread."""
        return np.where(self.are_values[:, None], of_model, np.inf)


def units_of(trials: Floats, values: Floats, squares: Floats | None) -> Units:
    """The units of N experiments; where all values are 0 as if the mean were 1."""
    size, _days, k = trials.shape
    pooled, spread = np.ones(size), np.ones((size, k))
    if squares is None:
        return Units(pooled, spread, np.ones(size), np.zeros(size, dtype=bool))
    have = np.asarray(~np.isnan(squares).any(axis=(1, 2)))
    unit = np.where(have, _REMOTE, 1.0)
    rows = (have & (values.sum(axis=(1, 2)) > 0)).nonzero()[0]
    if rows.size:
        n, s, q = trials[rows], values[rows], squares[rows]
        mean = _ratio(s.sum(axis=1), n.sum(axis=1))
        pooled[rows], spread[rows] = _spread(n, s, q, mean)
        unit[rows] = _REMOTE * mean.max(axis=1)
    return Units(pooled, spread, unit, have)


def largest_parts(values: Floats, squares: Floats, orders: Floats | None = None) -> Floats:
    """Bound the part that one order can make of each variant's value: (T, K) to (K,), 0 without values.

    Single values are not known. The largest of a day is at most the root of the day's sum of squares; where the number
    of orders is known, too, it is largest when all others are alike.
    """
    largest = np.sqrt(squares) if orders is None else _largest_of(values, squares, orders)
    total = values.sum(axis=0)
    return np.minimum(_ratio(largest.max(axis=0, initial=0.0), total), 1.0)


def _largest_of(values: Floats, squares: Floats, orders: Floats) -> Floats:
    """Bound the largest of m numbers by their sum s and sum of squares q: s/m + sqrt((m - 1) (q - s^2/m) / m).

    Source: Samuelson, "How deviant can you be?" (1968).
    """
    m = np.maximum(orders, 1.0)
    apart = np.maximum(squares - values * values / m, 0.0)
    return np.asarray(values / m + np.sqrt((m - 1) / m * apart))


def day_variances(trials: Floats, values: Floats, squares: Floats) -> Floats:
    """Estimate the variance of each sum without bias, from the trials of its day; 0 with fewer than two."""
    several = trials >= 2
    n = np.where(several, trials, 2.0)
    spread = np.maximum(squares - values * values / n, 0.0) * (n / (n - 1))
    return np.where(several, spread, 0.0)


def pooled_spread(trials: Floats, values: Floats, squares: Floats) -> Floats:
    """phi of all variants together, (N,); 1 without any value."""
    variance = day_variances(trials, values, squares).sum(axis=(1, 2))
    measured = np.where(trials >= 2, values, 0.0).sum(axis=(1, 2))
    total = values.sum(axis=1)
    # without a day of two trials: the most it can be
    widest = _ratio(squares.sum(axis=(1, 2)), total.sum(axis=1))
    found = np.where(measured > 0, _ratio(variance, measured), widest)
    least = _LEAST_SPREAD * _ratio(total, trials.sum(axis=1)).max(axis=1)
    return np.where(total.sum(axis=1) > 0, np.maximum(found, least), 1.0)


def _spread(trials: Floats, values: Floats, squares: Floats, mean: Floats) -> tuple[Floats, Floats]:
    """phi of all variants together (N,), and each one's own drawn toward it (N, K)."""
    pooled = pooled_spread(trials, values, squares)
    variance = day_variances(trials, values, squares).sum(axis=1)
    measured = np.where(trials >= 2, values, 0.0).sum(axis=1)
    total, squared = values.sum(axis=1), squares.sum(axis=1)
    orders = np.where(measured > 0, _ratio(total, squared) * total, 0.0)
    own = (orders * _ratio(variance, measured) + _POOLED_ORDERS * pooled[:, None]) / (orders + _POOLED_ORDERS)
    return pooled, np.maximum(own, _LEAST_SPREAD * mean)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """numerator / denominator, 0 where the denominator is 0."""
    return np.where(denominator > 0, numerator / np.where(denominator > 0, denominator, 1.0), 0.0)
