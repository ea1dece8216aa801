"""Rows of a block of lines, read column by column: what comes again is read once."""

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any, Generic, Protocol, TypeVar

from experiments.exceptions import InvalidError
from experiments.metrics import DailyCounts
from experiments.tables.importing.row_kinds import CsvRow
from experiments.tables.reading.source import Line

T = TypeVar("T")
# More texts of a column are forgotten: of orders and sums each may be another one.
_MOST_REMEMBERED = 5000


class Column(Protocol):
    """Reads the cells of a column; ``has_gaps``: some have come that it gave None for."""

    def of(self, cells: Sequence[str]) -> Sequence[Any]: ...
    @property
    def has_gaps(self) -> bool: ...


class Meanings(dict[Any, "T | None"], Generic[T]):
    """Remembers the meaning of each text of a column, or of its parts; None for those that need a closer look."""

    def __init__(self, read: Callable[[Any], T | None]) -> None:
        super().__init__()
        self._read = read
        self.has_gaps = False

    def __missing__(self, text: Any) -> T | None:
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        self[text] = meaning = self._read(text)
        self.has_gaps = self.has_gaps or meaning is None
        return meaning

    def of(self, cells: Sequence[Any]) -> "Sequence[T | None]":
        return list(map(self.__getitem__, cells))


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


def rows_of_counts(
    lines: Iterable[int],
    experiments: Iterable[str],
    days: Iterable[Any],
    variants: Iterable[str],
    numbers: Iterable[Iterable[Any]],
) -> Iterable[CsvRow]:
    """Build rows of the columns of their parts."""
    counts = map(DailyCounts._make, zip(days, variants, *numbers, strict=False))
    return map(
        CsvRow._make, zip(lines, experiments, counts, repeat(1), repeat(0), repeat(None), strict=False)
    )


class PlainRows(Generic[T]):
    """Reads lines of which every cell means something, and leaves all others.

    ``names``: the columns of an experiment, a day and a variant; -1 for one that the file lacks. ``numbers``: of each
    column of numbers its place in ``absent`` and its place in the file. ``build`` makes rows of columns, as
    rows_of_counts does.
    """

    def __init__(
        self,
        width: int,
        names: Sequence[tuple[int, Column]],
        numbers: Sequence[tuple[int, int, NumberColumn]],
        absent: Sequence[Any],
        build: Callable[..., Iterable[T]],
    ) -> None:
        self._width, self._names, self._numbers, self._absent = width, names, numbers, absent
        self._build = build

    def of(self, lines: Sequence[Line]) -> list[T | None]:
        """Return the row of each line; None where it needs a closer look."""
        fitting = [place for place, (_line, cells) in enumerate(lines) if len(cells) == self._width]
        found: list[T | None] = [None] * len(lines)
        try:
            rows = self._rows([lines[place] for place in fitting])
        except InvalidError:
            # of the file as a whole, found ahead of its time: lines before it come first
            return found
        for place, row in zip(fitting, rows, strict=True):
            found[place] = row
        return found

    def _rows(self, lines: Sequence[Line]) -> Sequence[T | None]:
        if not lines:
            return []
        columns = list(zip(*(cells for _line, cells in lines), strict=True))
        names = [
            column.of(columns[place]) if place >= 0 else [""] * len(lines) for place, column in self._names
        ]
        numbers: list[Any] = list(map(repeat, self._absent))
        for n, place, column in self._numbers:
            numbers[n] = column.of(columns[place])
        rows = self._build((line for line, _cells in lines), *names, numbers)
        doubtful = [numbers[n] for n, _place, column in self._numbers if column.has_gaps]
        if any(column.has_gaps for _place, column in self._names):
            doubtful += names
        if not doubtful:
            return list(rows)
        return [
            None if any(meaning is None for meaning in meanings) else row
            for row, meanings in zip(rows, zip(*doubtful, strict=True), strict=True)
        ]
