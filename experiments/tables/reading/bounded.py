"""Tables whose reading ends at the first row too many."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from experiments.tables.reading.bounds import Bounds
from experiments.tables.reading.source import Line, Reading, Table


def within(table: Table, bounds: Bounds) -> Table:
    """Let every reading of a table end with InvalidError where it is beyond the bounds."""
    return replace(table, readings=[_Bounded(reading, bounds) for reading in table.readings], bounds=bounds)


@dataclass(frozen=True)
class _Bounded:
    reading: Reading
    bounds: Bounds
    _first: list[Line] = field(default_factory=list)

    def first_lines(self) -> list[Line]:
        """Read them once: each kind of file looks for its header."""
        if not self._first:
            self._first.extend(self.reading.first_lines())
        for line, cells in self._first:
            self.bounds.refuse_wide(line, len(cells))
        return self._first

    def lines_after(self, line: int) -> Iterator[Line]:
        rows_left, cells_left = self.bounds.rows, self.bounds.cells
        for each in self.reading.lines_after(line):
            cells = each[1]
            cells_left -= len(cells) or 1
            if any(cells):
                rows_left -= 1
            if rows_left < 0:
                raise self.bounds.too_many_rows()
            if cells_left < 0:
                raise self.bounds.too_many_cells()
            yield each
