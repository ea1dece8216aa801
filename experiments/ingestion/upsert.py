"""SQL of an ingestion, written by hand: the ORM takes longer to build these statements than the database to run them.

On PostgreSQL the rows go in as arrays, one for each column. Rows of known variants take a single statement, so the
locks are held only while the database works. Other databases take three statements under the locks.
"""

import datetime as dt
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from itertools import chain, islice, repeat
from typing import Any, NamedTuple

import orjson
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connection, connections, transaction

from experiments.audit.intake import UPSERT_INTAKE, IntakeLine
from experiments.database.prepared import Prepared
from experiments.database.rows import places
from experiments.metrics import COUNT_NAMES, MEASURES, DailyCounts, Number
from experiments.models import TAKES_EVENTS

# A row beside the id of its experiment, or of its variant.
PlacedCounts = tuple[int, DailyCounts]

# A row begins with its date and name.
_BEFORE_MEASURES = len(DailyCounts._fields) - len(MEASURES)


class _Statements(NamedTuple):
    """SQL that writes the first so many measures of each row; the others stay, and are 0 in a new row."""

    one_at_once: Prepared
    several_at_once: Prepared
    arrays: str
    rows: str
    many_rows: str
    measures: int


# All or nothing: with one row without a variant, one variant twice or one experiment that takes no events, nothing is
# written. After waiting for a lock, PostgreSQL checks the experiment's status again. A rename that commits meanwhile
# takes effect afterwards. Of an array PostgreSQL sees how short it is, and then plans each time for those few, which
# takes longer than to write them: one id is given as a number, an array by a SELECT.
_ONE, _SEVERAL = "%s::bigint", "ANY((SELECT %s::bigint[])::bigint[])"
_READY = """id = {among} AND archived_at IS NULL AND status = ANY(%s)
    AND %s = (SELECT count(*) FROM (
        SELECT FROM placed WHERE variant_id IS NOT NULL GROUP BY variant_id, date) AS place)"""
_RAISE = """UPDATE experiments_experiment experiment SET data_version = data_version + 1,
    changed_from = least(changed_from, (SELECT min(date) FROM placed))"""
_RAISE_ONE = f"changed AS ({_RAISE} WHERE {_READY} RETURNING id)"
# Locks are taken in the order of ids, as everywhere.
_RAISE_SEVERAL = f"""locked AS MATERIALIZED (
    SELECT id FROM experiments_experiment WHERE {_READY} ORDER BY id FOR NO KEY UPDATE
), changed AS (
    {_RAISE} FROM locked
    WHERE experiment.id = locked.id AND (SELECT count(*) FROM locked) = %s RETURNING experiment.id
)"""  # noqa: S608 (constants only)
_AT_ONCE = """
WITH given AS (
    SELECT * FROM unnest(%s::bigint[], %s::date[], %s::text[], {arrays})
        AS row (experiment_id, date, name, {given})
), ours AS MATERIALIZED (
    SELECT id, experiment_id, key, name FROM experiments_variant WHERE experiment_id = {among}
), placed AS MATERIALIZED (
    SELECT given.*, coalesce(named.id, keyed.id) AS variant_id FROM given
    LEFT JOIN ours named ON named.experiment_id = given.experiment_id AND named.name = given.name
    LEFT JOIN ours keyed ON keyed.experiment_id = given.experiment_id AND keyed.key = given.name
), {change}, noted AS ({note})
INSERT INTO experiments_dailymetric {columns}
SELECT variant_id, date, {selected}, %s::timestamptz FROM placed
JOIN changed ON changed.id = placed.experiment_id {overwrite}
"""
# Written with the rows or not at all: a deletion at the same moment would leave it without its experiment.
_NOTE = UPSERT_INTAKE.format(
    rows="""SELECT changed.id, line.date, line.actor, line.source, count(*), 1, line.at, line.at
    FROM (SELECT %s::date, %s::text, %s::text, %s::timestamptz) AS line (date, actor, source, at)
    JOIN changed ON line.source <> '' JOIN placed ON placed.experiment_id = changed.id
    GROUP BY changed.id, line.date, line.actor, line.source, line.at"""
)
_ARRAYS = """
INSERT INTO experiments_dailymetric {columns}
SELECT variant_id, date, {selected}, %s::timestamptz FROM unnest(%s::bigint[], %s::date[], {arrays})
    AS row (variant_id, date, {given}) {overwrite}
"""
_ROWS = "INSERT INTO experiments_dailymetric {columns} VALUES {rows} {overwrite}"
# SQLite takes at least 999 parameters, eight of each row.
_IN_A_STATEMENT = 100


def _statements(given: int) -> _Statements:
    measures = [measure.name for measure in MEASURES]
    updated = ", ".join(f"{name} = excluded.{name}" for name in (*measures[:given], "updated_at"))
    parts = {
        "columns": f"(variant_id, date, {', '.join(measures)}, updated_at)",
        "arrays": ", ".join(f"%s::{measure.kind.value}[]" for measure in MEASURES[:given]),
        "given": ", ".join(measures[:given]),
        "selected": ", ".join([*measures[:given], *["0"] * (len(measures) - given)]),
        "overwrite": f"ON CONFLICT (variant_id, date) DO UPDATE SET {updated}",
    }
    row = f"(%s, %s, {', '.join(['%s'] * given + ['0'] * (len(measures) - given))}, %s)"
    one, several = (
        _AT_ONCE.format(change=how.format(among=among), among=among, note=_NOTE, **parts)
        for how, among in ((_RAISE_ONE, _ONE), (_RAISE_SEVERAL, _SEVERAL))
    )
    return _Statements(
        Prepared(one),
        Prepared(several),
        _ARRAYS.format(**parts),
        _ROWS.format(rows=row, **parts),
        _ROWS.format(rows=", ".join([row] * _IN_A_STATEMENT), **parts),
        given,
    )


# Most installations send no values: their rows are as short as if there were none.
_COUNTS_ONLY, _WITH_VALUES = _statements(len(COUNT_NAMES)), _statements(len(MEASURES))

# Experiment id, variant id, key, name, whether it is the control.
VariantRow = tuple[int, int, str, str, bool]


def recorded_at_once(
    rows: Sequence[PlacedCounts], experiment_ids: Collection[int], now: dt.datetime, line: IntakeLine | None
) -> bool:
    """Raise the data versions, write the totals and add to the caller's line of the day in one statement; return
    False where nothing was written.

    More is needed then: a new variant, a refusal, rows with values beside rows without, or a database other than
    PostgreSQL.
    """
    here = connections[DEFAULT_DB_ALIAS]  # which each use of ``connection`` looks up
    if here.vendor != "postgresql":
        return False
    with_values, without = _by_values(rows)
    if with_values and without:
        return False
    try:
        # a transaction that goes on needs a savepoint to come back to
        with transaction.atomic() if here.in_atomic_block else nullcontext():
            return _write_at_once(with_values or without, experiment_ids, now, line)
    except IntegrityError:
        # values that are stored and stay do not fit these counts
        return False


def _write_at_once(
    rows: Sequence[PlacedCounts], experiment_ids: Collection[int], now: dt.datetime, line: IntakeLine | None
) -> bool:
    sql = _statements_for(rows)
    ids, dates, names, *measured = _columns(rows, sql.measures)
    columns: list[Any] = [_array(ids), _array(dates), _texts(names), *map(_array, measured)]
    noted: list[Any] = [*(line or (now.date(), "", "")), now]
    # their variants alone: a large installation has 10^5 others
    if len(experiment_ids) == 1:
        (one,) = experiment_ids
        written = sql.one_at_once.change([*columns, one, one, _STATUSES, len(rows), *noted, now])
    else:
        among, number = _array(list(experiment_ids)), len(experiment_ids)
        ready: list[Any] = [among, among, _STATUSES, len(rows), number]
        written = sql.several_at_once.change([*columns, *ready, *noted, now])
    return written > 0


def raise_data_versions(experiment_ids: Sequence[int], first: dt.date) -> int:
    """Raise the data version of those that take events, which locks them until the transaction ends; return their
    number. ``first`` is the earliest day of what is written.
    """
    day = first.isoformat()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE experiments_experiment SET data_version = data_version + 1, changed_from = "  # noqa: S608
            "CASE WHEN changed_from < %s THEN changed_from ELSE %s END WHERE archived_at IS NULL "
            f"AND status IN ({places(TAKES_EVENTS)}) AND id IN ({places(experiment_ids)})",
            [day, day, *TAKES_EVENTS, *experiment_ids],
        )
        changed: int = cursor.rowcount
    return changed


def variants_of(experiment_ids: Sequence[int]) -> list[VariantRow]:
    """Return all variants of these experiments."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT experiment_id, id, key, name, is_control FROM experiments_variant "  # noqa: S608 (places only)
            f"WHERE experiment_id IN ({places(experiment_ids)})",
            experiment_ids,
        )
        rows: list[VariantRow] = cursor.fetchall()
    return rows


def ids_by_name(known: Sequence[VariantRow]) -> dict[tuple[int, str], int]:
    """Return the variants' ids by experiment and key or name; a name goes before a key."""
    return {(e, key): pk for e, pk, key, _, _ in known} | {(e, name): pk for e, pk, _, name, _ in known}


def upsert_daily_metrics(rows: Sequence[PlacedCounts], now: dt.datetime) -> None:
    """Write the totals of each variant, its id beside the row; no two rows share variant and date.

    Where a row gives no values, those that are stored stay.
    """
    for alike in filter(None, _by_values(rows)):
        _upsert(alike, now)


def _by_values(rows: Sequence[PlacedCounts]) -> tuple[list[PlacedCounts], list[PlacedCounts]]:
    """Part the rows that give values, each with both of its numbers, from those that give none."""
    given = [(pk, _with_both_values(row)) for pk, row in rows if row.has_values]
    return given, [placed for placed in rows if not placed[1].has_values] if given else list(rows)


def _with_both_values(row: DailyCounts) -> DailyCounts:
    if row.value_sum is not None and row.value_squares is not None:
        return row
    return DailyCounts(row.date, row.variant_name, *row.totals)


def _upsert(rows: Sequence[PlacedCounts], now: dt.datetime) -> None:
    sql = _statements_for(rows)
    ids, dates, _names, *measured = _columns(rows, sql.measures)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(sql.arrays, [now, *map(_array, (ids, dates, *measured))])
        else:
            stamp = connection.ops.adapt_datetimefield_value(now)
            written = {date: date.isoformat() for date in set(dates)}
            days = [written[date] for date in dates]
            measured[len(COUNT_NAMES) :] = [list(map(str, column)) for column in measured[len(COUNT_NAMES) :]]
            _insert(cursor, sql, list(zip(ids, days, *measured, repeat(stamp), strict=False)))


def _insert(cursor: Any, sql: _Statements, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows, many in each statement: one by one takes half as long again."""
    rest = len(rows) % _IN_A_STATEMENT
    if groups := [
        rows[end - _IN_A_STATEMENT : end] for end in range(_IN_A_STATEMENT, len(rows) + 1, _IN_A_STATEMENT)
    ]:
        cursor.executemany(sql.many_rows, [list(chain.from_iterable(group)) for group in groups])
    if rest:
        cursor.executemany(sql.rows, rows[-rest:])


def _statements_for(rows: Sequence[PlacedCounts]) -> _Statements:
    return _WITH_VALUES if rows[0][1].has_values else _COUNTS_ONLY


def _columns(rows: Sequence[PlacedCounts], measures: int) -> list[Any]:
    """Turn rows into columns: ids, dates, names and the first so many measures."""
    columns = zip(*(row for _pk, row in rows), strict=True)
    return [[pk for pk, _row in rows], *islice(columns, _BEFORE_MEASURES + measures)]


def _array(values: Sequence[Number | dt.date]) -> str:
    """Write an array of numbers or days in PostgreSQL's syntax, which is JSON's but for the braces; the driver takes a
    hundred times as long.
    """
    return f"{{{orjson.dumps(values, default=str)[1:-1].decode()}}}"


def _texts(values: Sequence[str]) -> str:
    """Write an array of texts."""
    listed = '","'.join(values)
    if "\\" in listed or listed.count('"') != 2 * (len(values) - 1):
        listed = '","'.join(value.replace("\\", r"\\").replace('"', r"\"") for value in values)
    return f'{{"{listed}"}}'


# Those that take events, as an array.
_STATUSES = _texts(sorted(TAKES_EVENTS))
