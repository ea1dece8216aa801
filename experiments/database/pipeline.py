"""Several statements of a transaction, sent to PostgreSQL at once: they wait for each other there, not for Python.

Each sees what was committed before it began, as one by one. So the first may lock what the next ones read. The
beginning of the transaction travels with the first of them. They are timed as one; where one is refused, those behind
it are not run.
"""

import select
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from experiments.database.prepared import STALE, Prepared, checked, prepare_again, takes_prepared, texts_of
from experiments.database.rows import Row, rows_of

# A statement and its parameters.
Step = tuple[Prepared, Row]


def rows_of_each(steps: Sequence[Step]) -> list[list[Row]]:
    """Run statements in a transaction, one after the other; return the rows of each."""
    connection = connections[DEFAULT_DB_ALIAS]
    if not connection.in_atomic_block or not takes_prepared(connection):
        return [rows_of(statement.sql, parameters) for statement, parameters in steps]
    run: Callable[..., list[list[Row]]] = partial(_execute, steps)
    for wrapper in reversed(connection.execute_wrappers):
        run = partial(wrapper, run)
    sql = ";\n".join(statement.sql for statement, _parameters in steps)
    return run(sql, [], False, {"connection": connection, "cursor": None})


def _execute(
    steps: Sequence[Step], sql: str, parameters: Row, many: bool, context: dict[str, Any]
) -> list[list[Row]]:
    """Send them as a cursor would: on a connection that is open, within a transaction that goes on."""
    connection: BaseDatabaseWrapper = context["connection"]
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors:
        texts = [texts_of(values) for _statement, values in steps]
        raw: psycopg.Connection[Any] = connection.connection
        block = _block(raw)
        try:
            return _exchange(raw, steps, texts, block)
        except STALE:
            checked(raw, raw.pgconn.exec_(block.back))
            prepare_again(raw)
            return _exchange(raw, steps, texts, block)


class _Block(NamedTuple):
    """Commands in front of the steps and behind them, and the one that takes back all of it."""

    before: bytes
    after: tuple[bytes, ...]
    back: bytes


def _block(raw: psycopg.Connection[Any]) -> _Block:
    """Begin the transaction, as psycopg would; one that has begun gets a savepoint, for it cannot be repeated."""
    if raw.pgconn.transaction_status != TransactionStatus.IDLE:
        return _SAVEPOINT
    level = raw.isolation_level
    return _BEGIN if level is None else _BEGIN._replace(before=b"BEGIN ISOLATION LEVEL " + _words(level))


_BEGIN = _Block(b"BEGIN", (), b"ROLLBACK")
_SAVEPOINT = _Block(
    b"SAVEPOINT bandit_steps", (b"RELEASE SAVEPOINT bandit_steps",), b"ROLLBACK TO SAVEPOINT bandit_steps"
)


def _words(level: psycopg.IsolationLevel) -> bytes:
    return level.name.replace("_", " ").encode()


def _exchange(
    raw: psycopg.Connection[Any], steps: Sequence[Step], texts: Sequence[list[bytes]], block: _Block
) -> list[list[Row]]:
    prepared = [statement.on(raw) for statement, _parameters in steps]
    named = [(name, values) for (name, _transformer), values in zip(prepared, texts, strict=True)]
    try:
        results = _sent(raw.pgconn, block, named)
    except BaseException:  # answers are still to come, which nobody would read
        raw.close()
        raise
    for result in results:
        checked(raw, result)
    found: list[list[Row]] = []
    for (_name, transformer), result in zip(prepared, results[1:], strict=False):
        transformer.set_pgresult(result)
        found.append(transformer.load_rows(0, result.ntuples, tuple))
    return found


def _sent(pgconn: PGconn, block: _Block, named: Sequence[tuple[bytes, list[bytes]]]) -> list[PGresult]:
    """Send statements by their names, within the block; return the result of each."""
    pgconn.enter_pipeline_mode()
    pgconn.send_query_params(block.before, None)
    for name, values in named:
        pgconn.send_query_prepared(name, values)
    for command in block.after:
        pgconn.send_query_params(command, None)
    pgconn.pipeline_sync()
    results = list(_results(pgconn))
    pgconn.exit_pipeline_mode()
    return results


def _results(pgconn: PGconn) -> Iterator[PGresult]:
    """Read the results up to the end; other threads run while it waits."""
    waiting = select.poll()
    waiting.register(pgconn.socket, select.POLLIN | select.POLLOUT)
    while pgconn.flush():
        if any(event & select.POLLIN for _socket, event in waiting.poll()):
            pgconn.consume_input()
    waiting.modify(pgconn.socket, select.POLLIN)
    while True:
        while pgconn.is_busy():
            waiting.poll()
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:  # between two statements
            if pgconn.status == ConnStatus.BAD:
                raise psycopg.OperationalError("the connection was lost")
        elif result.status == ExecStatus.PIPELINE_SYNC:
            return
        else:
            yield result
