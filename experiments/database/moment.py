"""Reads as of one moment: what others commit meanwhile is in an answer whole, or not at all.

Between two statements another client may delete an experiment or record the first events of a variant. An answer
that is put together from before and after names things that it does not have.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"


@contextmanager
def one_moment() -> Iterator[None]:
    """Let every read of the block see the database as it was at the first; nothing may be written there.

    Within a transaction it changes nothing: that one has its own rules.
    """
    if connection.in_atomic_block:
        yield
        return
    with _begun_as_reader(), transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(_SNAPSHOT)
        yield


@contextmanager
def _begun_as_reader() -> Iterator[None]:
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
