"""Reads as of one moment: what others commit meanwhile is in an answer whole, or not at all.

Between two statements another client may delete an experiment or record the first events of a variant. An answer
that is put together from before and after names things that it does not have.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from experiments.database.replica import (
    alias_to_read,
    leave_out,
    primary_only,
    reading_from,
    usable_replicas,
)

P = ParamSpec("P")
R = TypeVar("R")

_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
# PostgreSQL's code for a statement that took too long: it would take as long on the primary.
_TOOK_TOO_LONG = "57014"


@contextmanager
def one_moment(*, may_lag: bool = False) -> Iterator[str | None]:
    """Let every read of the block see the database as it was at the first; nothing may be written there.

    Within a transaction it changes nothing: that one has its own rules. Where the answer ``may_lag``, it is a replica's
    if there is one, whose name the block gets: never for what decides, is kept for later, or must know what the caller
    has just written. A function can do better (``answer_may_lag``).
    """
    if connections[alias_to_read()].in_atomic_block:
        yield None
        return
    alias = None
    try:
        with ExitStack() as stack:
            alias = _begun_on_replica(stack) if may_lag else None
            if alias is None:
                stack.enter_context(_begun(connections[DEFAULT_DB_ALIAS]))
            yield alias
    except (OperationalError, InterfaceError) as error:
        _note_loss(alias, error)
        raise


def answer_may_lag(read: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that only reads: it reads one moment of a replica, or of the primary where that one fails.

    A standby ends a statement that stands in the way of what it has to follow, and it may go away in the middle.
    """

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> R:
        alias = None
        try:
            with one_moment(may_lag=True) as alias:
                return read(*args, **kwargs)
        except (OperationalError, InterfaceError) as error:
            if alias is None or getattr(error.__cause__, "sqlstate", None) == _TOOK_TOO_LONG:
                raise
        with primary_only(), one_moment():
            return read(*args, **kwargs)

    return reading


def _begun_on_replica(stack: ExitStack) -> str | None:
    """Begin on a replica that answers and read from it; None where none does, as then the primary does its work."""
    for alias in usable_replicas():
        try:
            stack.enter_context(_begun(connections[alias]))
        except (OperationalError, InterfaceError) as error:
            leave_out(alias, error)
        else:
            stack.enter_context(reading_from(alias))
            return alias
    return None


def _note_loss(alias: str | None, error: Exception) -> None:
    """Let the next request go elsewhere, if it is the replica that failed."""
    if alias is not None and not connections[alias].is_usable():
        leave_out(alias, error)


@contextmanager
def _begun(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Begin a transaction that reads."""
    with _begun_as_reader(connection), transaction.atomic(using=connection.alias):
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(_SNAPSHOT)
        yield


@contextmanager
def _begun_as_reader(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Begin transactions of the block without SQLite's write lock, which our settings take at the beginning."""
    if connection.vendor != "sqlite":
        yield
        return
    sqlite: Any = connection  # the stubs know what all databases have
    sqlite.ensure_connection()  # it sets the mode of the settings
    usual, sqlite.transaction_mode = sqlite.transaction_mode, "DEFERRED"
    try:
        yield
    finally:
        sqlite.transaction_mode = usual
