"""What has the experiment brought so far, and has it come to an answer?

Rewards given up against always serving the leading variant, rewards gained over an even split, both cumulative by
day and in successes, from posterior means; and the day a series first passed a level. D days, K variants.
"""

from typing import NamedTuple

import numpy as np

from allocation.engine.posterior.beta import Floats


class Rewards(NamedTuple):
    """(D,) running sums, in expected successes."""

    given_up: Floats
    gained: Floats


def rewards_by_day(trials: Floats, mean: Floats, lead: int) -> Rewards:
    """From (D, K) trials and (K,) posterior means. A day is split evenly over the variants it served."""
    served = trials > 0
    total = trials.sum(axis=1)
    worth = trials @ mean
    even = (served @ mean) / np.maximum(served.sum(axis=1), 1) * total
    return Rewards(np.cumsum(total * mean[lead] - worth), np.cumsum(worth - even))


def first_passed(series: Floats, level: float) -> int | None:
    """The index of the first value of at least ``level``, such as the leader's probability_best, or None."""
    passed = np.flatnonzero(np.asarray(series) >= level)
    return int(passed[0]) if passed.size else None
