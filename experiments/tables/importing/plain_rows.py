"""Rows of a block of lines, read column by column: what comes again is read once."""

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, Generic, TypeVar

from experiments.exceptions import InvalidError
from experiments.metrics import DailyCounts
from experiments.tables.importing.row_kinds import CsvRow
from experiments.tables.reading.source import Line

T = TypeVar("T")
# More texts of a column are forgotten: of orders and sums each may be another one.
_MOST_REMEMBERED = 5000


class Meanings(dict[str, "T | None"], Generic[T]):
    """Remembers the meaning of each text of a column; None for those that need a closer look."""

    def __init__(self, read: Callable[[str], T | None]) -> None:
        super().__init__()
        self._read = read
        self.has_gaps = False

    def __missing__(self, text: str) -> T | None:
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        self[text] = meaning = self._read(text)
        self.has_gaps = self.has_gaps or meaning is None
        return meaning


class NumberColumn:
    """A column of numbers: read at once where all of it is plain, else by what each text means.

    ``read`` reads a cell, ``read_all`` a block of them or gives None; both know the type of a cell.
    """

    def __init__(
        self, read: Callable[[str], Any], read_all: Callable[[Sequence[str]], Sequence[Any] | None]
    ) -> None:
        self._read, self._read_all = read, read_all
        self._means: dict[type[str], Meanings[Any]] = {}

    def of(self, cells: Sequence[str]) -> Sequence[Any]:
        if (numbers := self._read_all(cells)) is not None:
            return numbers
        for kind in set(map(type, cells)) - self._means.keys():
            self._means[kind] = Meanings(self._read)
        return [self._means[type(cell)][cell] for cell in cells]

    @property
    def has_gaps(self) -> bool:
        return any(means.has_gaps for means in self._means.values())


class PlainRows:
    """Reads lines of which every cell means something, and leaves all others.

    ``names``: the columns of an experiment, a day and a variant; -1 for one that the file lacks. ``numbers``: of each
    column of numbers its place in ``absent`` and its place in the file.
    """

    def __init__(
        self,
        width: int,
        names: Sequence[tuple[int, Meanings[Any]]],
        numbers: Sequence[tuple[int, int, NumberColumn]],
        absent: Sequence[Any],
    ) -> None:
        self._width, self._names, self._numbers, self._absent = width, names, numbers, absent

    def of(self, lines: Sequence[Line]) -> list[CsvRow | None]:
        """Return the row of each line; None where it needs a closer look."""
        fitting = [place for place, (_line, cells) in enumerate(lines) if len(cells) == self._width]
        found: list[CsvRow | None] = [None] * len(lines)
        try:
            rows = self._rows([lines[place] for place in fitting])
        except InvalidError:
            # of the file as a whole, found ahead of its time: lines before it come first
            return found
        for place, row in zip(fitting, rows, strict=True):
            found[place] = row
        return found

    def _rows(self, lines: Sequence[Line]) -> Sequence[CsvRow | None]:
        if not lines:
            return []
        columns = list(zip(*(cells for _line, cells in lines), strict=True))
        experiments, days, variants = (
            list(map(means.__getitem__, columns[place])) if place >= 0 else [""] * len(lines)
            for place, means in self._names
        )
        numbers: list[Any] = list(map(repeat, self._absent))
        for n, place, column in self._numbers:
            numbers[n] = column.of(columns[place])
        counts = map(DailyCounts._make, zip(days, variants, *numbers, strict=False))
        rows = map(
            CsvRow._make, zip((line for line, _cells in lines), experiments, counts, repeat(1), repeat(0))
        )
        doubtful = [numbers[n] for n, _place, column in self._numbers if column.has_gaps]
        if any(means.has_gaps for _place, means in self._names):
            doubtful += [experiments, days, variants]
        if not doubtful:
            return list(rows)
        return [
            None if any(meaning is None for meaning in meanings) else row
            for row, meanings in zip(rows, zip(*doubtful, strict=True), strict=True)
        ]
