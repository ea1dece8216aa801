"""Which variant is best, when five posteriors are equally likely?

The starts of the present regime are cut into groups of equal probability, each with a posterior of its own
(evidence.learned); probability_best, expected loss and value remaining are averaged over them. Groups that follow on an
equal one are not computed again: where no change is in sight most of them are equal.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocation.engine.posterior.beta import Floats, panel_edges
from allocation.engine.posterior.panels import FEW
from allocation.engine.posterior.probability_best import Bools, checked_rows, contest_rows
from allocation.engine.posterior.value_remaining import Earlier, remaining_of_rows


@dataclass(frozen=True)
class GroupContest:
    """``probability_best`` and ``expected_loss`` (N, K), averaged over G groups.

    The M different posteriors behind them, (M, K) each; ``place`` (N, G) tells whose is which. ``edges`` (M, K, E) and
    ``shown_edges`` (N, K, E): the bare panels of these and of the posteriors that are shown; of a few variants alone.
    """

    probability_best: Floats
    expected_loss: Floats
    alpha: Floats
    beta: Floats
    present: Bools
    best: Floats
    place: NDArray[np.intp]
    earlier: Earlier
    edges: Floats | None
    shown_edges: Floats | None

    def value_remaining(self, lead: NDArray[np.intp]) -> Floats:
        """How much better than the leader, ``lead`` (N,), the best may still be: the 95% quantile, averaged; (N,)."""
        leads = np.empty(len(self.alpha), dtype=np.intp)
        leads[self.place] = lead[:, None]
        own = self.best[np.arange(len(leads)), leads]
        remaining = remaining_of_rows(
            self.alpha, self.beta, self.present, leads, own, self.earlier, edges=self.edges
        )
        return _average(remaining, self.place, (self.place[:, :1] != self.place).any(axis=1))


def contest_of_groups(
    alpha: Floats,
    beta: Floats,
    present: Bools,
    earlier: Earlier | None = None,
    shown: tuple[Floats, Floats] | None = None,
) -> GroupContest:
    """From (N, G, K) posteriors; ``present`` (N, K) marks the variants that compete, ``earlier`` (N,) whose rules.

    ``shown``: alpha and beta (N, K) of posteriors whose panels are found along with theirs.
    """
    new = np.ones(alpha.shape[:2], dtype=bool)
    new[:, 1:] = ((alpha[:, 1:] != alpha[:, :-1]) | (beta[:, 1:] != beta[:, :-1])).any(axis=-1)
    place = (np.add.accumulate(new.ravel(), dtype=np.intp) - 1).reshape(new.shape)
    whose = new.nonzero()[0]
    a, b, there = checked_rows(alpha[new], beta[new], present[whose])
    before = Earlier.none(len(a)) if earlier is None else earlier.rows(whose)
    edges, shown_edges = _bare_edges(a, b, shown)
    each = contest_rows(a, b, there, before.coarse, edges)
    several = (place[:, :1] != place).any(axis=1)
    best, loss = (_average(part, place, several) for part in (each.probability_best, each.expected_loss))
    return GroupContest(best, loss, a, b, there, each.probability_best, place, before, edges, shown_edges)


def _bare_edges(
    alpha: Floats, beta: Floats, shown: tuple[Floats, Floats] | None
) -> tuple[Floats, Floats] | tuple[None, None]:
    """The panels of the posteriors (M, K) and of those that are shown (N, K), cut together."""
    if shown is None or alpha.shape[1] > FEW:
        return None, None
    edges = panel_edges(np.concatenate([alpha, shown[0]]), np.concatenate([beta, shown[1]]))
    return edges[: len(alpha)], edges[len(alpha) :]


def _average(each: Floats, place: NDArray[np.intp], several: Bools) -> Floats:
    """From (M, ...) to (N, ...): over the groups; to the last digit what they have in common where not ``several``."""
    average = each[place[:, 0]]
    if np.count_nonzero(several):
        average[several] = np.add.reduce(each[place[several]], axis=1) / place.shape[1]
    return average
