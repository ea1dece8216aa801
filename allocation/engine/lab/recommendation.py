"""Which of several ways to decide lost least over past tests, and is that more than chance?

C contenders played the same T tests; regret is in clicks. Tests differ in size by orders of magnitude, so what is
compared is the difference within each test, and the standard error of a sum over tests is sqrt(T) times the
standard deviation of its terms: the tests are taken to be a sample of those to come. That includes the chance of
the simulated visitors.
"""

from typing import NamedTuple

import numpy as np

from allocation.engine.analysis.gains import NORMAL_95
from allocation.engine.posterior.beta import Floats

# Differences of fewer standard errors are called no clear difference.
CLEAR = 2.0


class Estimate(NamedTuple):
    value: float
    standard_error: float

    @property
    def low(self) -> float:
        """The lower end of the 95% interval."""
        return self.value - NORMAL_95 * self.standard_error

    @property
    def high(self) -> float:
        return self.value + NORMAL_95 * self.standard_error

    @property
    def is_clear(self) -> bool:
        return abs(self.value) > CLEAR * self.standard_error


def total(per_test: Floats) -> Estimate:
    """Add up (T,) values. One test says nothing of how tests differ: its error is infinite."""
    count = len(per_test)
    error = np.sqrt(count) * per_test.std(ddof=1) if count > 1 else np.inf
    return Estimate(float(per_test.sum()), float(error))


def ratio(regret: Floats, even: Floats) -> Estimate | None:
    """Regret over that of an even split, (T,) each; None where the even split lost nothing.

    The error is that of a ratio of two sums, linearised: Cochran, "Sampling Techniques" (1977), chapter 6.
    """
    if even.sum() <= 0:
        return None
    value = float(regret.sum() / even.sum())
    return Estimate(value, total(regret - value * even).standard_error / float(even.sum()))


class Recommendation(NamedTuple):
    """The contender with the least regret, ``best``, and by how many clicks each lost more, ``lead`` (C,)."""

    best: int
    lead: list[Estimate]

    @property
    def level(self) -> list[int]:
        """List those that are not clearly worse than the best, without it."""
        return [i for i, gap in enumerate(self.lead) if i != self.best and not gap.is_clear]


def recommend(regrets: Floats) -> Recommendation:
    """Recommend from (C, T) regrets. Picking the best after looking flatters it: say so beside the number."""
    best = int(np.argmin(regrets.sum(axis=1)))
    return Recommendation(best, [total(regret - regrets[best]) for regret in regrets])
