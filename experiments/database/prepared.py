"""Statements of the calls that come by the thousand, sent to PostgreSQL without a cursor.

A cursor of Django's and psycopg's takes 0.1 ms of Python for what the driver's own C sends and reads in 0.01. So each
connection prepares these once, by name, and then only their parameters travel. They are timed, counted and refused as
all others are. A cursor runs them within a transaction, where statements are captured, on other databases, and where
DATABASE_PREPARE is off. Several within a transaction are for ``rows_of_each`` (pipeline.py).
"""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import abc, adapt
from psycopg.errors import FeatureNotSupported, InvalidSqlStatementName, error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGresult

from experiments.database.replica import alias_to_read
from experiments.database.rows import Row, rows_of

_WELL = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK})
# A pooler has dropped the statement, or psycopg all of them after a rolled back savepoint, or a migration has changed
# a column of it: nothing was done.
STALE = (InvalidSqlStatementName, FeatureNotSupported)

# Where a connection keeps the name of each statement that it has prepared, and what turns its rows into Python's
# values. That holds the connection: kept anywhere else, it would keep each of thousands a day from being freed.
_KEPT = "_bandit_prepared"
_numbers = count()


class Prepared:
    """A statement with %s for its parameters, each of a type that the statement itself makes known."""

    def __init__(self, sql: str) -> None:
        first, *others = sql.split("%s")
        numbered = [f"${number}{part}" for number, part in enumerate(others, 1)]
        self._sql, self._numbered = sql, "".join([first, *numbered]).encode()

    @property
    def sql(self) -> str:
        return self._sql

    def rows(self, parameters: Row) -> list[Row]:
        """Return the rows of a SELECT; within a block that may lag, a replica's."""
        connection = connections[alias_to_read()]
        if connection.in_atomic_block or not takes_prepared(connection):
            return rows_of(self._sql, parameters)
        found, result = self._run(connection, parameters)
        rows: list[Row] = found.load_rows(0, result.ntuples, tuple)
        return rows

    def change(self, parameters: Row) -> int:
        """Run what writes; return the number of rows that it wrote."""
        connection = connections[DEFAULT_DB_ALIAS]
        if not connection.in_atomic_block and takes_prepared(connection):
            return self._run(connection, parameters)[1].command_tuples or 0
        with connection.cursor() as cursor:
            cursor.execute(self._sql, parameters)
            written: int = cursor.rowcount
        return written

    def _run(self, connection: BaseDatabaseWrapper, parameters: Row) -> tuple[abc.Transformer, PGresult]:
        """Send it as a cursor would: on a connection that is open, through what wraps statements."""
        connection.close_if_health_check_failed()
        connection.ensure_connection()
        run: Callable[..., tuple[abc.Transformer, PGresult]] = self._execute
        for wrapper in reversed(connection.execute_wrappers):
            run = partial(wrapper, run)
        return run(self._sql, parameters, False, {"connection": connection, "cursor": None})

    def _execute(
        self, sql: str, parameters: Row, many: bool, context: dict[str, Any]
    ) -> tuple[abc.Transformer, PGresult]:
        connection = context["connection"]
        with connection.wrap_database_errors:
            texts = texts_of(parameters)
            try:
                return self._exchange(connection.connection, texts)
            except STALE:
                prepare_again(connection.connection)
                return self._exchange(connection.connection, texts)

    def _exchange(self, raw: psycopg.Connection[Any], texts: list[bytes]) -> tuple[abc.Transformer, PGresult]:
        name, transformer = self.on(raw)
        result = checked(raw, raw.pgconn.exec_prepared(name, texts))
        transformer.set_pgresult(result)
        return transformer, result

    def on(self, raw: psycopg.Connection[Any]) -> tuple[bytes, abc.Transformer]:
        """Return its name on the connection, which prepares it the first time, and what reads its rows."""
        known: dict[Prepared, tuple[bytes, abc.Transformer]] = vars(raw).setdefault(_KEPT, {})
        if self not in known:
            name = b"bandit_%d" % next(_numbers)
            checked(raw, raw.pgconn.prepare(name, self._numbered))
            known[self] = name, adapt.Transformer(raw)
        return known[self]


def prepare_again(raw: psycopg.Connection[Any]) -> None:
    """Have the connection prepare its statements again: where one was dropped, all were."""
    vars(raw).pop(_KEPT, None)


def takes_prepared(connection: BaseDatabaseWrapper) -> bool:
    return (
        connection.vendor == "postgresql"
        and (connection.autocommit or connection.in_atomic_block)
        and not connection.queries_logged
        and "prepare_threshold" in connection.settings_dict["OPTIONS"]
    )


def checked(raw: psycopg.Connection[Any], result: PGresult) -> PGresult:
    if result.status in _WELL:
        return result
    error = error_from_result(result, raw.info.encoding)
    # of a connection that broke the driver's C says nothing but that
    raise psycopg.OperationalError(str(error)) if raw.pgconn.status == ConnStatus.BAD else error


def texts_of(parameters: Row) -> list[bytes]:
    return [_text(value) for value in parameters]


def _text(value: object) -> bytes:
    """Write a parameter, which is not null, as PostgreSQL reads it; the driver would cut a text at a zero byte."""
    data = str(value).encode()
    if 0 in data:
        raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    return data
