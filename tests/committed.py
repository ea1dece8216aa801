"""Rows that several tests only begin from: they are committed once, and each test rolls back what it adds to them."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.apps import apps
from django.db import connection, transaction


@contextmanager
def committed() -> Iterator[None]:
    """Let the tests of a module see what is stored at its beginning; afterwards the tables are as empty as before.

    For a module's fixture, within ``django_db_blocker.unblock()`` and after ``django_db_setup``.
    """
    empty = [table for table in _tables() if not _has_rows(table)]
    try:
        yield
    finally:
        # References are checked when the transaction ends, so the order does not matter.
        with transaction.atomic(), connection.cursor() as cursor:
            for table in filter(_has_rows, empty):
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")  # noqa: S608  (our own names)


def _tables() -> list[str]:
    models = apps.get_models(include_auto_created=True)
    return sorted({model._meta.db_table for model in models if model._meta.managed})


def _has_rows(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {connection.ops.quote_name(table)} LIMIT 1")  # noqa: S608  (our own names)
        return cursor.fetchone() is not None
