"""Reads as of one moment: what others commit meanwhile is in an answer whole, or not at all.

Between two statements another client may delete an experiment or record the first events of a variant. An answer
that is put together from before and after names things that it does not have.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from experiments.database.replica import alias_to_read, leave_out, reading_from, usable_replicas

_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"


@contextmanager
def one_moment(*, may_lag: bool = False) -> Iterator[None]:
    """Let every read of the block see the database as it was at the first; nothing may be written there.

    Within a transaction it changes nothing: that one has its own rules. Where the answer ``may_lag``, it is a replica's
    if there is one: never for what decides, is kept for later, or must know what the caller has just written.
    """
    if connections[alias_to_read()].in_atomic_block:
        yield
        return
    alias = None
    try:
        with ExitStack() as stack:
            alias = _begun_on_replica(stack) if may_lag else None
            if alias is None:
                stack.enter_context(_begun(connections[DEFAULT_DB_ALIAS]))
            yield
    except (OperationalError, InterfaceError) as error:
        _note_loss(alias, error)
        raise


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
