"""Which regimes were there before the present one, and how much is known of each?

A regime that is over is found from the days up to its last; the search goes back from one to the one before. How much
counts vary, and what orders are worth, is known from all days before the present regime, later ones included: there is
one dispersion and, of values, one unit and one spread of each variant. How much a day is worth under each start is
computed once, too. Only masses and day levels are computed for each regime.

Rules before 8 began again from the counts of the days up to each regime's end: a year of 52 regimes took as long as 17
decisions. Of the last regime the numbers are the same, but for the last digits. Of those before they differ: gains
usually move by about a hundredth of their error, by as much as the error or more where noise or the worth of orders
differs between regimes. What was given up moves most where two regimes become one, or one becomes two.

Shapes: D days up to a regime's end of T before the present one, K variants; P pairs of a day and a start, as in
day_worth.py.
"""

from typing import NamedTuple

import numpy as np

from allocation.engine.evidence.day_worth import log_worth
from allocation.engine.evidence.learned import (
    Counted,
    EvidenceRules,
    EvidenceSettings,
    Information,
    evidence_of,
    information_of,
)
from allocation.engine.evidence.memory import day_weights, starts_from_worth
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools

# A day that counts for less changes no digit of an answer that is looked at.
_LEAST_WEIGHT = 1e-12


class Regime(NamedTuple):
    """``weights`` (D,): how much each day up to the regime's end counts. The others (K,) as in learned.Evidence."""

    weights: Floats
    effective_trials: Floats
    evidence_kept: Floats
    alpha: Floats
    beta: Floats
    unit: float
    effective_orders: Floats


class Past(NamedTuple):
    """The days before the present regime. ``seen`` (T,): those with trials; ``worth`` (1, P + 1): of these alone.

    ``worth`` is None where no day has trials: those that were priced have been taken back. It is None without memory,
    too, which gains never ask for: then every day is of the present regime.
    """

    counted: Counted
    seen: Bools
    worth: Floats | None

    @classmethod
    def of(
        cls, trials: Floats, successes: Floats, settings: EvidenceSettings, squares: Floats | None = None
    ) -> "Past":
        """Look at the days once: their counts (T, K), or values and the squares of these."""
        several = None if squares is None else squares[None]
        counted = Counted.of(trials[None], successes[None], EvidenceRules.of([settings]), several)
        seen = counted.trials[0].any(axis=1)
        if not settings.memory or not np.count_nonzero(seen):
            return cls(counted, seen, None)
        n, o = (
            counts[:, seen] / counted.phi[:, None, None] for counts in (counted.trials, counted.successes)
        )
        return cls(counted, seen, log_worth(n, o))

    def regime(self, end: int) -> Regime:
        """The regime that the day before the one with this index belongs to."""
        weights = day_weights(self._starts(end))
        known, units = self.counted.known(self._information(weights)), self.counted.units
        return Regime(
            weights=weights[0],
            effective_trials=units.trials(known.effective_trials[:, 0])[0],
            evidence_kept=known.kept[0, 0],
            alpha=known.alpha[0, 0],
            beta=known.beta[0, 0],
            unit=float(units.unit[0]),
            effective_orders=units.orders(known.own[:, 0] * known.successes[:, 0])[0],
        )

    def _information(self, weights: Floats) -> Information:
        """Weigh the days (1, D) that count, and the variants with trials on them: the others would change nothing."""
        days = slice(int(np.argmax(weights[0] > _LEAST_WEIGHT)), weights.shape[1])
        seen: Bools = np.asarray(self.counted.trials[0, days].any(axis=0))
        n, o = (counts[:, days, seen] for counts in (self.counted.trials, self.counted.successes))
        return information_of(n, o, weights[:, None, days], self.counted.rules).among(seen)

    def _starts(self, end: int) -> Floats:
        starts, days = np.zeros((1, end)), self.seen[:end].nonzero()[0]
        if self.worth is None or not days.size:
            starts[:, :1] = 1
            return starts
        worth = np.zeros((1, days.size * (days.size + 1) // 2 + 1))
        worth[:, :-1] = self.worth[:, : worth.shape[1] - 1]
        starts[:, days] = starts_from_worth(worth, np.array([days.size]))
        return starts


class EachAlone(NamedTuple):
    """The days before the present regime, by rules before 8: each regime is found from its days and those before.

    Arguments as in learned.evidence_of.
    """

    trials: Floats
    successes: Floats
    settings: EvidenceSettings
    squares: Floats | None = None

    def regime(self, end: int) -> Regime:
        """The regime that the day before the one with this index belongs to."""
        squares = None if self.squares is None else self.squares[:end]
        found = evidence_of(self.trials[:end], self.successes[:end], self.settings, squares)
        return Regime(
            weights=found.weights,
            effective_trials=found.effective_trials,
            evidence_kept=found.evidence_kept,
            alpha=found.alpha,
            beta=found.beta,
            unit=float(found.unit),
            effective_orders=found.effective_orders,
        )
