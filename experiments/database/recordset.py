"""Rows that travel to PostgreSQL as one JSON text: a parameter for each value takes psycopg longer to write than the
database to insert them."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

import orjson
from django.db import connection, models

_UPSERT = """
INSERT INTO {table} ({columns}) SELECT {columns} FROM json_to_recordset(%s::json) AS given ({types})
ON CONFLICT ({key}) DO UPDATE SET {changes}
"""


def upsert(instances: Sequence[models.Model]) -> None:
    """Write rows of one model, whose keys are known, in place of those that there are."""
    if not instances:
        return
    model = type(instances[0])
    if connection.vendor != "postgresql":
        _upsert_by_orm(instances)
        return
    names = [(str(field.column), field.attname) for field in model._meta.concrete_fields]
    rows = [{column: vars(one)[attname] for column, attname in names} for one in instances]
    with connection.cursor() as cursor:
        cursor.execute(_statement(model), [json_of(rows)])


def json_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Write rows by column as PostgreSQL reads them."""
    return orjson.dumps(list(rows), default=_as_text).decode()


def _as_text(value: object) -> str:
    """Write an exact number or bytes as a text: JSON has no word for them."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    raise TypeError(f"{value!r} has no form in JSON")


def _upsert_by_orm(instances: Sequence[models.Model]) -> None:
    options = type(instances[0])._meta
    type(instances[0])._default_manager.bulk_create(
        instances,
        update_conflicts=True,
        unique_fields=[options.pk.name],
        update_fields=[field.name for field in options.concrete_fields if not field.primary_key],
    )


@cache
def _statement(model: type[models.Model]) -> str:
    fields = {str(field.column): field for field in model._meta.concrete_fields}
    changed = (name for name, field in fields.items() if not field.primary_key)
    return _UPSERT.format(
        table=model._meta.db_table,
        columns=", ".join(fields),
        types=", ".join(f"{name} {field.db_type(connection)}" for name, field in fields.items()),
        key=model._meta.pk.column,
        changes=", ".join(f"{name} = excluded.{name}" for name in changed),
    )
