"""Numbers learnt from cells one by one."""

from collections.abc import Iterable

from experiments.tables.reading.numbers import Cell, Numbers
from experiments.tables.reading.styles import StyleLearner


def learn_styles(cells: Iterable[Cell]) -> Numbers:
    learner = StyleLearner()
    learner.look_at(cells)
    return learner.numbers
