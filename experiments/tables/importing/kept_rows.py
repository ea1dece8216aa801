"""Rows that are read from their file once."""

from collections.abc import Callable, Iterable, Iterator

from experiments.tables.importing.checks import Rows
from experiments.tables.importing.row_kinds import BadRow, CsvRow

Row = CsvRow | BadRow


class KeptRows:
    """Keeps the rows of a file as they are read, and gives them again without reading it.

    ``renew`` adapts those that rest on what is stored, which may be another by then.
    """

    def __init__(self, read: Rows, renew: Callable[[Iterable[Row]], Iterable[Row]]) -> None:
        self._read, self._renew = read, renew
        self._kept: list[Row] | None = None

    def __call__(self) -> Iterable[Row]:
        return self._reading() if self._kept is None else self._renew(self._kept)

    def _reading(self) -> Iterator[Row]:
        rows = []
        for row in self._read():
            rows.append(row)
            yield row
        # a reading that ends early has not all of them
        self._kept = rows
