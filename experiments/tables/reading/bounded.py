"""Tables whose reading ends at the first row too many."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from weakref import WeakValueDictionary

from experiments.exceptions import InvalidError
from experiments.tables.reading.bounds import Bounds
from experiments.tables.reading.source import Line, Reading, Table

# Lines that are read at once: to ask for each takes longer than to split it.
_AT_ONCE = 500


def within(table: Table, bounds: Bounds) -> Table:
    """Let every reading of a table end with InvalidError where it is beyond the bounds."""
    return replace(table, readings=[_Bounded(reading, bounds) for reading in table.readings], bounds=bounds)


@dataclass(frozen=True)
class _Bounded:
    reading: Reading
    bounds: Bounds
    _first: list[Line] = field(default_factory=list)
    # By the line that they come after, as long as anybody reads them.
    _kept: "WeakValueDictionary[int, _KeptLines]" = field(default_factory=WeakValueDictionary)

    def first_lines(self) -> list[Line]:
        """Read them once: each kind of file looks for its header."""
        if not self._first:
            self._first.extend(self.reading.first_lines())
        for line, cells in self._first:
            self.bounds.refuse_wide(line, len(cells))
        return self._first

    def lines_after(self, line: int) -> Iterator[Line]:
        """Split them once: the style of a file's numbers is learnt from all of its lines, before its second row. Once
        nobody reads them any more, they are forgotten.
        """
        if (kept := self._kept.get(line)) is None:
            kept = self._kept[line] = _KeptLines(self._within(line))
        return iter(kept)

    def _within(self, line: int) -> Iterator[Line]:
        rows_left, cells_left = self.bounds.rows, self.bounds.cells
        for each in self.reading.lines_after(line):
            cells = each[1]
            cells_left -= len(cells) or 1
            # the first cell tells of most lines that they have text
            if cells and (cells[0].strip() or any(cell.strip() for cell in cells)):
                rows_left -= 1
            if rows_left < 0:
                raise self.bounds.too_many_rows()
            if cells_left < 0:
                raise self.bounds.too_many_cells()
            # nobody reads an empty line
            if cells and (cells[0] or any(cells)):
                yield each


class _KeptLines:
    """Lines that come from their source, many at once, when they are first asked for; an error of it ends each
    reading, behind the lines that came before it.
    """

    def __init__(self, source: Iterator[Line]) -> None:
        self._source, self._lines = source, list[Line]()
        self._error: InvalidError | None = None

    def __iter__(self) -> Iterator[Line]:
        place = 0
        while place < len(self._lines) or self._has_more():
            lines = self._lines[place : place + _AT_ONCE]
            yield from lines
            place += len(lines)

    def _has_more(self) -> bool:
        """Read more lines, if there are any."""
        if self._error:
            raise self._error
        before = len(self._lines)
        try:
            self._lines.extend(islice(self._source, _AT_ONCE))
        except InvalidError as error:
            self._error = error
            if len(self._lines) == before:
                raise
        return len(self._lines) > before
