"""A policy that decides as production does, and notes what it said."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.batch import Counts
from allocation.engine.decision import decide
from allocation.engine.limits import TICKS
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools


class Part(NamedTuple):
    """A part of many cases, and its standard error."""

    value: float
    error: float
    cases: int


class Recorded:
    """The lead of every day's decision and the chance that it is the best, all runs at once."""

    def __init__(self) -> None:
        self._said: list[Floats] = []
        self._lead: list[NDArray[np.intp]] = []

    def shares(self, counts: Counts) -> Floats:
        decision = decide(counts)
        said = np.take_along_axis(decision.contest.probability_best, decision.lead[:, None], axis=1)
        self._said.append(said[:, 0])
        self._lead.append(decision.lead)
        return np.asarray(decision.ticks / TICKS)

    @property
    def said(self) -> Floats:
        """(R, D - 1), as is the lead: the first day is split without a decision."""
        return np.stack(self._said, axis=1)

    @property
    def lead(self) -> NDArray[np.intp]:
        return np.stack(self._lead, axis=1)


def part_of_runs(chosen: Bools, right: Bools) -> Part:
    """The part of the chosen decisions (R, D) that is right; runs, not decisions, count as independent."""
    cases, hits = chosen.sum(axis=1), (chosen & right).sum(axis=1)
    part = hits.sum() / max(cases.sum(), 1)
    error = np.sqrt(((hits - part * cases) ** 2).sum()) / max(cases.sum(), 1)
    return Part(float(part), float(error), int(cases.sum()))


def part_of(right: Bools) -> Part:
    """The part of independent cases that is right."""
    value = float(right.mean())
    return Part(value, float(np.sqrt(value * (1 - value) / right.size)), right.size)
