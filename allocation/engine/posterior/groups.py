"""Which variant is best, when five posteriors are equally likely?

The starts of the present regime are cut into groups of equal probability, each with a posterior of its own
(evidence.learned); probability_best, expected loss and value remaining are averaged over them. Groups that follow on an
equal one are not computed again: where no change is in sight most of them are equal.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools, Contest, contest
from allocation.engine.posterior.value_remaining import value_remaining


@dataclass(frozen=True)
class GroupContest:
    """``probability_best`` and ``expected_loss`` (N, K), averaged over G groups.

    The M different posteriors behind them, (M, K) each; ``place`` (N, G) tells whose is which.
    """

    probability_best: Floats
    expected_loss: Floats
    alpha: Floats
    beta: Floats
    present: Bools
    best: Floats
    place: NDArray[np.intp]
    coarse: Bools | None

    def value_remaining(self, lead: NDArray[np.intp]) -> Floats:
        """How much better than the leader, ``lead`` (N,), the best may still be: the 95% quantile, averaged; (N,)."""
        leads = np.empty(len(self.alpha), dtype=np.intp)
        leads[self.place] = lead[:, None]
        own = self.best[np.arange(len(leads)), leads]
        remaining = value_remaining(self.alpha, self.beta, self.present, leads, own, coarse=self.coarse)
        return _average(remaining, self.place, (self.place[:, :1] != self.place).any(axis=1))


def contest_of_groups(
    alpha: Floats, beta: Floats, present: Bools, coarse: Bools | None = None
) -> GroupContest:
    """From (N, G, K) posteriors; ``present`` (N, K) marks the variants that compete, ``coarse`` (N,) earlier rules."""
    new = np.ones(alpha.shape[:2], dtype=bool)
    new[:, 1:] = ((alpha[:, 1:] != alpha[:, :-1]) | (beta[:, 1:] != beta[:, :-1])).any(axis=-1)
    place = (np.cumsum(new.ravel()) - 1).reshape(new.shape)
    whose = np.nonzero(new)[0]
    there, as_before = present[whose], None if coarse is None else coarse[whose]
    each: Contest = contest(alpha[new], beta[new], there, as_before)
    several = (place[:, :1] != place).any(axis=1)
    best, loss = (_average(part, place, several) for part in each)
    return GroupContest(best, loss, alpha[new], beta[new], there, each.probability_best, place, as_before)


def _average(each: Floats, place: NDArray[np.intp], several: Bools) -> Floats:
    """From (M, ...) to (N, ...): over the groups; to the last digit what they have in common where not ``several``."""
    average = each[place[:, 0]]
    if several.any():
        average[several] = np.add.reduce(each[place[several]], axis=1) / place.shape[1]
    return average
