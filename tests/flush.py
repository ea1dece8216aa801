"""Empty the tables after tests that commit at little cost, and put back the roles that migrations made.

On PostgreSQL, TRUNCATE writes new files for each table, nearly all of which are empty: a third of a second after each
test. To delete the few rows there are takes a hundredth.
"""

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.color import no_style
from django.db import connection
from django.db.backends.base.operations import BaseDatabaseOperations

# Django would write the same rows again after each test.
_STAY = {ContentType._meta.db_table, Permission._meta.db_table}
_ROLES = (Group._meta.db_table, Group.permissions.through._meta.db_table)


def flush_quickly() -> None:
    """Let each flush delete the rows there are, and end with the groups of this moment and their permissions."""
    operations = type(connection.ops)
    delete = _delete_rows if connection.vendor == "postgresql" else operations.sql_flush
    truncate = operations.sql_flush
    roles = [*insertions(_ROLES), *connection.ops.sequence_reset_sql(no_style(), [Group])]

    def sql_flush(
        self: BaseDatabaseOperations,
        style: Any,
        tables: Sequence[str],
        *,
        reset_sequences: bool = False,
        allow_cascade: bool = False,
    ) -> list[str]:
        if reset_sequences or not set(_ROLES) <= set(tables):
            return truncate(self, style, tables, reset_sequences=reset_sequences, allow_cascade=allow_cascade)
        return [*delete(self, style, [table for table in tables if table not in _STAY]), *roles]

    operations.sql_flush = sql_flush  # type: ignore[method-assign]


def insertions(tables: Sequence[str]) -> list[str]:
    """Build the statements that insert the rows that there are now: ids, and names without quotes."""
    return [statement for table in tables for statement in _insertion(table)]


def _insertion(table: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")  # noqa: S608  # our own name
        columns = ", ".join(column[0] for column in cursor.description)
        rows = ", ".join(str(row) for row in cursor.fetchall())
    if not rows:
        return []
    return [f"INSERT INTO {table} ({columns}) VALUES {rows}"]  # noqa: S608  # rows of migrations


def _delete_rows(self: BaseDatabaseOperations, style: Any, tables: Sequence[str]) -> list[str]:
    names = [self.quote_name(table) for table in tables]
    # Our own names. References are checked when the transaction ends, so the order does not matter.
    filled = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in names)  # noqa: S608
    with self.connection.cursor() as cursor:
        cursor.execute(filled)
        return [f"DELETE FROM {name}" for (name,) in cursor.fetchall()]  # noqa: S608
