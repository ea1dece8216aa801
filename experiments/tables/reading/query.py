"""The answer of a query to a PostgreSQL database of the user's own, as a table whose header are its columns.

The query runs once, in a transaction that may only read, by a cursor of the server. Its rows go to a temporary file:
an import reads them several times, and two executions of one query need not give its rows in one order.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

import orjson
import psycopg

from experiments.tables.reading.numbers import Exact
from experiments.tables.reading.source import FIRST_LINES, Line, Table
from experiments.tables.reading.workbook.sheets import as_text

_ROWS_AT_ONCE = 5000


@contextmanager
def query_table(url: str, sql: str) -> Iterator[Table]:
    """Open a query as a table, for as long as the block lasts. Raises psycopg.Error."""
    with tempfile.NamedTemporaryFile(suffix=".rows") as file:
        with psycopg.connect(url) as connection:
            connection.read_only = True
            for cells in _answer(connection, sql):
                file.write(_packed(cells))
        file.flush()
        yield Table((_Spooled(file.name),))


def _answer(connection: "psycopg.Connection[tuple[object, ...]]", sql: str) -> Iterator[list[str]]:
    with connection.cursor("bandit") as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        # the query is the operator's own, and the transaction may only read
        cursor.execute(sql.encode())
        yield [column.name for column in cursor.description or ()]
        for row in cursor:
            yield [as_text(value) for value in row]


def _packed(cells: list[str]) -> bytes:
    """Write a line: its texts, and the places of those that are numbers."""
    exact = [place for place, cell in enumerate(cells) if isinstance(cell, Exact)]
    return orjson.dumps([[str(cell) for cell in cells], exact]) + b"\n"


def _unpacked(line: bytes) -> list[str]:
    cells, exact = orjson.loads(line)
    for place in exact:
        cells[place] = Exact(cells[place])
    return list(cells)


@dataclass(frozen=True)
class _Spooled:
    path: str

    def first_lines(self) -> list[Line]:
        return list(islice(self.lines_after(0), FIRST_LINES))

    def lines_after(self, line: int) -> Iterator[Line]:
        with open(self.path, "rb") as file:
            yield from islice(self._lines(file), line, None)

    def _lines(self, file: BinaryIO) -> Iterator[Line]:
        for number, packed in enumerate(file, 1):
            yield number, _unpacked(packed)
