"""The gain over an even split, and the cost of finding out.

Each day's trials, priced with the rates of its own regime: gained over an even split over the variants that the day
served, and given up against serving the best variant alone. In expected successes, or
value where that is the goal. A day is priced once, by the first
decision that has it in its window, and the sums are recorded: the past does not change afterwards.

``error`` is the standard deviation of the gain. Errors of different days are added, not their squares: the rates that
price neighbouring days are estimated from nearly the same data, so that they err together.
Shapes: trials and successes (T, K), days by variants.
"""

from typing import NamedTuple

import numpy as np

from allocation.engine.decision import Decision
from allocation.engine.evidence.learned import EvidenceSettings, evidence_of
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools

# A day that counts less than this belongs to an earlier regime.
_PRESENT = 0.5
# Standard deviations on either side of a 95% interval.
NORMAL_95 = 1.96


class Rewards(NamedTuple):
    """Sums over days, in expected successes or value."""

    gained_over_even: float = 0.0
    given_up: float = 0.0
    gain_error: float = 0.0

    def plus(self, other: "Rewards") -> "Rewards":
        return Rewards(*(one + two for one, two in zip(self, other, strict=True)))


def new_gains(decision: Decision, settings: EvidenceSettings, after: int | None) -> Rewards:
    """The gains of the window's days later than day number ``after``, or of all of them."""
    window = decision.window
    new = np.ones(len(window.days), dtype=bool) if after is None else window.days > after
    if not new.any():
        return Rewards()
    present = decision.day_weights >= _PRESENT
    deviation = _deviation(decision.alpha, decision.beta) * decision.unit
    rewards = price(window.trials[new & present], decision.mean, deviation, ~decision.low_evidence)
    cut = int(np.argmax(present)) if present.any() else 0
    squares = None if window.squares is None else window.squares[:cut]
    return rewards.plus(_earlier(window.trials[:cut], window.successes[:cut], new[:cut], settings, squares))


def price(trials: Floats, mean: Floats, deviation: Floats, judged: Bools) -> Rewards:
    """The rewards of days with these rates. ``judged`` (K,): variants that have enough data to be called the best."""
    served = trials > 0
    totals = trials.sum(axis=1, keepdims=True)
    beyond_even = (trials - totals * served / np.maximum(served.sum(axis=1, keepdims=True), 1)).sum(axis=0)
    known = judged if judged.any() else np.ones(len(mean), dtype=bool)
    return Rewards(
        gained_over_even=float(beyond_even @ mean),
        given_up=float(totals.sum() * mean[known].max() - trials.sum(axis=0) @ mean),
        gain_error=float(np.sqrt(((beyond_even * deviation) ** 2).sum())),
    )


def _earlier(
    trials: Floats, successes: Floats, new: Bools, settings: EvidenceSettings, squares: Floats | None
) -> Rewards:
    """The gains of days before the present regime, each regime with its own rates."""
    if not new.any():
        return Rewards()
    found = evidence_of(trials, successes, settings, squares)
    present = found.weights >= _PRESENT
    mean = found.unit * found.alpha / (found.alpha + found.beta)
    deviation = found.unit * _deviation(found.alpha, found.beta)
    rewards = price(trials[new & present], mean, deviation, trials.sum(axis=0) > 0)
    cut = int(np.argmax(present)) if present.any() else 0
    cut_squares = None if squares is None else squares[:cut]
    return rewards.plus(_earlier(trials[:cut], successes[:cut], new[:cut], settings, cut_squares))


def _deviation(alpha: Floats, beta: Floats) -> Floats:
    """The standard deviation of each Beta."""
    total = alpha + beta
    return np.asarray(np.sqrt(alpha * beta / (total + 1)) / total)
