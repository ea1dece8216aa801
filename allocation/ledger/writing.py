"""Write new entries of the decision log: on PostgreSQL in one statement, however many they are.

The rows travel as JSON. An array for each of forty columns takes psycopg longer to write than the database to insert.
"""

from collections.abc import Callable, Sequence
from functools import cache
from math import isfinite
from operator import itemgetter
from typing import Any

from django.db import connection, models

from allocation.ledger.entries import Entry
from allocation.models import Allocation, AllocationShare
from allocation.packing import pack
from experiments.database.pipeline import rows_of_each
from experiments.database.prepared import Prepared
from experiments.database.recordset import json_of
from experiments.database.rows import insert

_INSERT = """
WITH new AS (
    INSERT INTO allocation_allocation ({columns}) SELECT {columns} FROM json_to_recordset(%s::json) AS given ({types})
    RETURNING id, experiment_id
), parts AS (
    INSERT INTO allocation_allocationshare (allocation_id, {share_columns})
    SELECT new.id, {share_columns} FROM json_to_recordset(%s::json) AS given (experiment_id bigint, {share_types})
    JOIN new USING (experiment_id) RETURNING id, allocation_id, variant_id
)
SELECT new.experiment_id, new.id, parts.variant_id, parts.id FROM new JOIN parts ON parts.allocation_id = new.id
"""


def write_entries(entries: Sequence[Entry]) -> None:
    """Insert the rows of entries, of different experiments, and give them their keys."""
    if connection.vendor == "postgresql" and entries:
        _write_at_once(entries)
        return
    insert([entry.allocation for entry in entries])
    for entry in entries:
        _link_shares(entry)
    insert([share for entry in entries for share in entry.shares])


def _write_at_once(entries: Sequence[Entry]) -> None:
    rows = [_decision(entry.allocation) for entry in entries]
    shares = [
        {**_row(share), "experiment_id": entry.allocation.experiment_id}
        for entry in entries
        for share in entry.shares
    ]
    alias = connection.alias  # the connection of a thread takes long to find
    keys: dict[int, tuple[int, dict[int, int]]] = {}
    (written,) = rows_of_each([(_statement(), [json_of(rows), json_of(shares)])])
    for experiment, pk, variant, share_pk in written:
        keys.setdefault(experiment, (pk, {}))[1][variant] = share_pk
    for entry in entries:
        pk, of_shares = keys[entry.allocation.experiment_id]
        _is_stored(entry.allocation, pk, alias)
        _link_shares(entry)
        for share in entry.shares:
            _is_stored(share, of_shares[share.variant_id], alias)


def _link_shares(entry: Entry) -> None:
    """Set the decision of its shares, as the attribute ``allocation`` does, which asks the router each time."""
    for share in entry.shares:
        share.allocation_id = entry.allocation.pk
        share._state.fields_cache["allocation"] = entry.allocation


def _is_stored(instance: Allocation | AllocationShare, pk: int, alias: str) -> None:
    instance.id, instance._state.adding, instance._state.db = pk, False, alias


@cache
def _statement() -> Prepared:
    names, share_names = _columns(Allocation), _columns(AllocationShare)
    sql = _INSERT.format(
        columns=", ".join(names),
        types=", ".join(f"{name} {field.db_type(connection)}" for name, field in names.items()),
        share_columns=", ".join(share_names),
        share_types=", ".join(f"{name} {field.db_type(connection)}" for name, field in share_names.items()),
    )
    return Prepared(sql)


@cache
def _columns(model: type[models.Model]) -> dict[str, Any]:
    """The fields to be written, by column; not the link to the decision, which has no key yet."""
    left_out = {"id", "allocation_id"}
    return {str(f.column): f for f in model._meta.concrete_fields if f.column not in left_out}


def _row(instance: models.Model) -> dict[str, Any]:
    """List the columns. JSON has no word for numbers that are not finite: they are texts, which PostgreSQL reads."""
    columns, values_of = _reader(type(instance))
    values = values_of(vars(instance))
    # a sum is finite only where all are: one look at it costs less than one at each
    if isfinite(sum([value for value in values if isinstance(value, float)])):
        return dict(zip(columns, values, strict=True))
    return {name: _as_text(value) for name, value in zip(columns, values, strict=True)}


@cache
def _reader(model: type[models.Model]) -> tuple[list[str], Callable[[dict[str, Any]], Any]]:
    """The columns to be written, and how to take their values from those of an instance."""
    fields = _columns(model)
    return [*fields], itemgetter(*(field.attname for field in fields.values()))


def _as_text(value: Any) -> Any:
    return value if not isinstance(value, float) or isfinite(value) else str(value)


def _decision(allocation: Allocation) -> dict[str, Any]:
    """List the columns of a decision, its inputs packed."""
    row, inputs = _row(allocation), allocation.packed_inputs
    return row if inputs is None else {**row, "packed_inputs": pack(inputs)}
