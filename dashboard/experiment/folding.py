"""Rows of a table: all of a few, or the first of many, with a link to the others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Row = TypeVar("Row")

# Of more rows than these only the first are shown: a hundred are most of a page, and of what it costs.
SHOWN = 12
_BEFORE_THE_FOLD = 10


@dataclass(frozen=True)
class Folded(Generic[Row]):
    """The rows that are shown, and those behind a link."""

    shown: Sequence[Row]
    folded: Sequence[Row]

    def __iter__(self) -> Iterator[Row]:
        yield from self.shown
        yield from self.folded

    def __len__(self) -> int:
        return len(self.shown) + len(self.folded)


def fold(rows: Sequence[Row], *, whole: bool = False) -> Folded[Row]:
    """Show twelve rows at most; of more the first ten, unless the ``whole`` table is asked for."""
    if whole or len(rows) <= SHOWN:
        return Folded(rows, [])
    return Folded(rows[:_BEFORE_THE_FOLD], rows[_BEFORE_THE_FOLD:])
