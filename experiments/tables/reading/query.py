"""The answer of a query to a PostgreSQL database of the user's own, as a table whose header are its columns.

It is read by a cursor of the server, so that its size does not matter, in a transaction that may only read. Both
readings of an import see one snapshot.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import psycopg

from experiments.tables.reading.source import FIRST_LINES, Line, Table
from experiments.tables.reading.workbook import as_text

_ROWS_AT_ONCE = 5000


@contextmanager
def query_table(url: str, sql: str) -> Iterator[Table]:
    """Open a query as a table, for as long as the block lasts. Raises psycopg.Error."""
    with psycopg.connect(url) as connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        yield Table((_Query(connection, sql),))


@dataclass(frozen=True)
class _Query:
    connection: "psycopg.Connection[tuple[object, ...]]"
    sql: str

    def first_lines(self) -> list[Line]:
        return list(islice(self.lines_after(0), FIRST_LINES))

    def lines_after(self, line: int) -> Iterator[Line]:
        return islice(self._lines(), line, None)

    def _lines(self) -> Iterator[Line]:
        with self.connection.cursor("bandit_import") as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            # the query is the operator's own, and the transaction may only read
            cursor.execute(self.sql.encode())
            yield 1, [column.name for column in cursor.description or ()]
            for number, row in enumerate(cursor, 2):
                yield number, [as_text(value) for value in row]
