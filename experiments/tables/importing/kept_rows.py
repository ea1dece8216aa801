"""Rows that are read from their file once."""

from collections.abc import Iterable, Iterator

from experiments.tables.importing.checks import Rows
from experiments.tables.importing.rows import BadRow, CsvRow


class KeptRows:
    """Keeps the rows of a file as they are read, and gives them again without reading it."""

    def __init__(self, read: Rows) -> None:
        self._read = read
        self._kept: list[CsvRow | BadRow] | None = None

    def __call__(self) -> Iterable[CsvRow | BadRow]:
        return self._reading() if self._kept is None else self._kept

    def _reading(self) -> Iterator[CsvRow | BadRow]:
        rows = []
        for row in self._read():
            rows.append(row)
            yield row
        # a reading that ends early has not all of them
        self._kept = rows
