"""The answer of a query to a PostgreSQL database of the user's own, as a table whose header are its columns.

It is read by a cursor of the server, so that its size does not matter, in a transaction that may only read. Both
readings of an import see one snapshot.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from uuid import uuid4

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
        # several may be open at once
        with self.connection.cursor(f"bandit_{uuid4().hex}") as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            # the query is the operator's own, and the transaction may only read
            cursor.execute(self.sql.encode())
            header = (1, [column.name for column in cursor.description or ()])
            rows = ((number, [as_text(value) for value in row]) for number, row in enumerate(cursor, 2))
            yield from islice(chain([header], rows), line, None)
