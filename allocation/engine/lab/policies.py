"""How would other rules have split the traffic?

A policy is anything with one ``shares(counts)``: from the counts of N experiments to their shares of the next
day, (N, K), rows summing to 1. ``Thompson`` is the product itself, limits and all; the others are the textbook
rules it is compared with, bare of limits. None keeps anything between calls, and none draws a random number: a
day's traffic is split at once, so the chance that a rule serves a variant is the variant's share.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from allocation.engine.decision import Counts, decide, posterior_of
from allocation.engine.evidence.values import day_variances
from allocation.engine.limits import TICKS
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools
from allocation.engine.target import uniform


class Policy(Protocol):
    def shares(self, counts: Counts) -> Floats: ...


@dataclass(frozen=True)
class Thompson:
    """Thompson Sampling under limits: the very function that decides in production."""

    def shares(self, counts: Counts) -> Floats:
        return np.asarray(decide(counts).ticks / TICKS)


@dataclass(frozen=True)
class Even:
    """A classical test: every variant the same, all the time."""

    def shares(self, counts: Counts) -> Floats:
        return uniform(counts.active)


@dataclass(frozen=True)
class Greedy:
    """Everything to the highest posterior mean."""

    def shares(self, counts: Counts) -> Floats:
        return _all_to_highest(posterior_of(counts).mean, counts.active)


@dataclass(frozen=True)
class EpsilonGreedy:
    """``epsilon`` of the traffic spread evenly, the rest to the highest posterior mean."""

    epsilon: float = 0.1

    def shares(self, counts: Counts) -> Floats:
        highest = Greedy().shares(counts)
        return (1 - self.epsilon) * highest + self.epsilon * uniform(counts.active)


@dataclass(frozen=True)
class Ucb1:
    """Everything to the highest mean + sqrt(width ln N / n); variants not tried yet come first, together.

    Values, which may be more than 1, have the width times the standard deviation of a trial's value.
    Source: Auer, Cesa-Bianchi & Fischer (2002), with one choice a day instead of one a visitor.
    """

    width: float = 2.0

    def shares(self, counts: Counts) -> Floats:
        trials, successes = counts.trials.sum(axis=1), counts.successes.sum(axis=1)
        n = np.maximum(trials, 1)
        everything = np.maximum(trials.sum(axis=1, keepdims=True), 1)
        bound = successes / n + _deviation(counts)[:, None] * np.sqrt(self.width * np.log(everything) / n)
        untried = counts.active & (trials <= 0)
        chosen = _all_to_highest(bound, counts.active)
        return np.where(untried.any(axis=1, keepdims=True), uniform(untried), chosen)


@dataclass(frozen=True)
class TopTwo:
    """Top-two Thompson Sampling: of the leader and its challenger, the leader with chance ``leading``.

    Drawing again until another variant wins has the chance P_i / (1 - P_j), so that no draw is needed here.
    Source: Russo, "Simple Bayesian algorithms for best arm identification" (2016).
    """

    leading: float = 0.5

    def shares(self, counts: Counts) -> Floats:
        posterior = posterior_of(counts)
        best = posterior.contest(counts.active).probability_best
        # Once 1 - P has lost its digits the challenger is taken to be any other, by its own chance.
        odds = best / np.maximum(1 - best, 1e-12)
        challenge = best * (odds.sum(axis=1, keepdims=True) - odds)
        shares = np.maximum(self.leading * best + (1 - self.leading) * challenge, 0)
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))


POLICIES: Mapping[str, Policy] = {
    "thompson": Thompson(),
    "even": Even(),
    "greedy": Greedy(),
    "epsilon_greedy": EpsilonGreedy(),
    "ucb1": Ucb1(),
    "top_two": TopTwo(),
}


def _deviation(counts: Counts) -> Floats:
    """(N,): 1 for counts."""
    if counts.squares is None:
        return np.ones(len(counts.trials))
    variance = day_variances(counts.trials, counts.successes, counts.squares).sum(axis=(1, 2))
    return np.asarray(np.sqrt(variance / np.maximum(counts.trials.sum(axis=(1, 2)), 1)))


def _all_to_highest(value: Floats, active: Bools) -> Floats:
    """1 for the active variant with the highest value, the first of them at a tie."""
    chosen = np.argmax(np.where(active, value, -np.inf), axis=1)
    return np.asarray(np.arange(value.shape[1]) == chosen[:, None], dtype=np.float64)
