"""The gain over an even split, and the cost of finding out.

Each day's trials, priced with the rates of its own regime: gained over an even split over the variants that the day
served, and given up against serving the best variant alone. In expected successes, or value where that is the goal.
Trials are priced once, by the first decision that has them in its window, and the sums are recorded: the past does not
change afterwards. Of a day that was priced when part of its counts had arrived, the rest is priced later.

``error`` is the standard deviation of the gain. Errors of different days are added, not their squares: the rates that
price neighbouring days are estimated from nearly the same data, so that they err together.
Shapes: trials and successes (T, K), days by variants.
"""

from dataclasses import replace
from functools import reduce
from typing import NamedTuple

import numpy as np

from allocation.engine.batch import FEWER_STEPS, FIRST_RULES, PAST_TOGETHER
from allocation.engine.decision import needed_trials
from allocation.engine.evidence.past import EachAlone, Past, Regime
from allocation.engine.evidence.values import ENOUGH_ORDERS
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools
from allocation.engine.requests import Decision
from allocation.engine.settings import Settings

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


class Served(NamedTuple):
    """The trials of days, and those among them that have been priced before; (T, K) each."""

    trials: Floats
    priced: Floats

    @property
    def new(self) -> Bools:
        """(T,): days with something to price."""
        return np.asarray((self.trials != self.priced).any(axis=1))

    def days(self, chosen: slice | Bools) -> "Served":
        return Served(self.trials[chosen], self.priced[chosen])


class Observed(NamedTuple):
    """Successes of days, or values with their squares; (T, K) each."""

    successes: Floats
    squares: Floats | None

    def until(self, day: int) -> "Observed":
        """The days before the one with this index."""
        return Observed(self.successes[:day], None if self.squares is None else self.squares[:day])


def new_gains(decision: Decision, settings: Settings, priced: Floats | None = None) -> Rewards:
    """The gains of the window's trials but for those ``priced`` before (D', K), or of all of them."""
    window = decision.window
    served = Served(window.trials, np.zeros_like(window.trials) if priced is None else priced)
    if not served.new.any():
        return Rewards()
    present = decision.day_weights >= _PRESENT
    deviation = _deviation(decision.alpha, decision.beta) * decision.unit
    best = _may_be_best(decision, window.trials[present], ~decision.low_evidence)
    rewards = price(served.days(present), decision.mean, deviation, best)
    cut = _first(present)
    observed = Observed(window.successes, window.squares).until(cut)
    return rewards.plus(_earlier(decision, served.days(slice(cut)), observed, settings))


def _first(present: Bools) -> int:
    """The first of the days that belong to a regime; 0 where none does."""
    return int(np.argmax(present)) if present.any() else 0


def price(served: Served, mean: Floats, deviation: Floats, best: Bools) -> Rewards:
    """The rewards of days with these rates. ``best`` (K,): variants that may be called the best."""
    beyond_even = (_beyond_even(served.trials) - _beyond_even(served.priced)).sum(axis=0)
    trials = (served.trials - served.priced).sum(axis=0)
    return Rewards(
        gained_over_even=float(beyond_even @ mean),
        given_up=float(trials.sum() * mean[best].max() - trials @ mean),
        gain_error=float(np.sqrt(((beyond_even * deviation) ** 2).sum())),
    )


def _beyond_even(trials: Floats) -> Floats:
    served = trials > 0
    totals = trials.sum(axis=1, keepdims=True)
    return np.asarray(trials - totals * served / np.maximum(served.sum(axis=1, keepdims=True), 1))


def _may_be_best(decision: Decision, trials: Floats, judged: Bools) -> Bools:
    """Active variants with enough data; without any, those that were served in ``trials``, retired ones at last."""
    everyone: Bools = np.ones(len(judged), dtype=bool)
    if decision.rules == FIRST_RULES:
        return judged if judged.any() else everyone
    served = trials.sum(axis=0) > 0
    # the mean of a variant that was not served is the prior's: rules before 8 took it for a rate
    retired = served if decision.rules >= PAST_TOGETHER else everyone
    choices = (decision.active & judged, decision.active & served, retired, everyone)
    return next(choice for choice in choices if choice.any())


def _earlier(decision: Decision, served: Served, observed: Observed, settings: Settings) -> Rewards:
    """The gains of days before the present regime, each regime with its own rates."""
    if not served.new.any():
        return Rewards()
    past = _past(decision, served.trials, observed, settings)
    rewards, end = [], len(served.trials)
    while (until := served.days(slice(end))).new.any():
        found = past.regime(end)
        rewards.append(_price_earlier(decision, until, found, settings))
        end = _first(found.weights >= _PRESENT)
    # the oldest ones are added first, as they always were
    return reduce(lambda total, one: one.plus(total), reversed(rewards), Rewards())


def _past(decision: Decision, trials: Floats, observed: Observed, settings: Settings) -> Past | EachAlone:
    """Since rules 8 all earlier days are looked at once; before, each regime began again from the counts."""
    if decision.rules >= PAST_TOGETHER:
        return Past.of(trials, observed.successes, settings.evidence, observed.squares)
    rules = replace(settings.evidence, earlier=decision.rules < FEWER_STEPS)
    return EachAlone(trials, observed.successes, rules, observed.squares)


def _price_earlier(decision: Decision, served: Served, found: Regime, settings: Settings) -> Rewards:
    """The gains of the regime that the last of the days ``served`` belongs to."""
    mean = found.unit * found.alpha / (found.alpha + found.beta)
    deviation = found.unit * _deviation(found.alpha, found.beta)
    own = served.days(found.weights >= _PRESENT)
    if decision.rules == FIRST_RULES:
        best = served.trials.sum(axis=0) > 0
    else:
        needed = needed_trials(settings.min_impressions, int(decision.active.sum()))
        judged = found.evidence_kept * found.effective_trials >= np.maximum(needed, 1)
        days = served
        # before rules 8 a variant could be the best by a few orders, or by older days alone, at the prior's mean
        if decision.rules >= PAST_TOGETHER:
            days = own
            judged &= (found.effective_orders >= ENOUGH_ORDERS) & (own.trials.sum(axis=0) > 0)
        best = _may_be_best(decision, days.trials, judged)
    return price(own, mean, deviation, best)


def _deviation(alpha: Floats, beta: Floats) -> Floats:
    """The standard deviation of each Beta."""
    total = alpha + beta
    return np.asarray(np.sqrt(alpha * beta / (total + 1)) / total)
