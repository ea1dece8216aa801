"""SQL of an ingestion, written by hand: the ORM takes longer to build these statements than the database to run them.

On PostgreSQL the rows go in as arrays, one for each column. Rows of known variants take a single statement, so the
locks are held only while the database works. Other databases take three statements under the locks.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.db import connection

from experiments.metrics import COUNT_NAMES, DailyCounts
from experiments.models import TAKES_EVENTS

# A row beside the id of its experiment, or of its variant.
PlacedCounts = tuple[int, DailyCounts]

_COUNTS = ", ".join(COUNT_NAMES)
_COUNT_ARRAYS = ", ".join(["%s::bigint[]"] * len(COUNT_NAMES))
_COLUMNS = f"(variant_id, date, {_COUNTS}, updated_at)"
_OVERWRITE = "ON CONFLICT (variant_id, date) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in (*COUNT_NAMES, "updated_at")
)
_ARRAYS = (
    f"INSERT INTO experiments_dailymetric {_COLUMNS} "  # noqa: S608 (constants only)
    f"SELECT *, %s::timestamptz FROM unnest(%s::bigint[], %s::date[], {_COUNT_ARRAYS}) {_OVERWRITE}"
)
_ROWS = (
    f"INSERT INTO experiments_dailymetric {_COLUMNS} "  # noqa: S608 (constants only)
    f"VALUES (%s, %s, {', '.join(['%s'] * len(COUNT_NAMES))}, %s) {_OVERWRITE}"
)


# All or nothing: with one row without a variant, one variant twice or one experiment that takes no events, nothing is
# written. After waiting for a lock, PostgreSQL checks the experiment's status again. A rename that commits meanwhile
# takes effect afterwards.
_READY = """id = ANY(%s::bigint[]) AND archived_at IS NULL AND status = ANY(%s)
    AND %s = (SELECT count(DISTINCT (variant_id, date)) FROM placed WHERE variant_id IS NOT NULL)"""
_RAISE = "UPDATE experiments_experiment experiment SET data_version = data_version + 1"
_RAISE_ONE = f"changed AS ({_RAISE} WHERE {_READY} RETURNING id)"
# Locks are taken in the order of ids, as everywhere.
_RAISE_SEVERAL = f"""locked AS MATERIALIZED (
    SELECT id FROM experiments_experiment WHERE {_READY} ORDER BY id FOR NO KEY UPDATE
), changed AS (
    {_RAISE} FROM locked
    WHERE experiment.id = locked.id AND (SELECT count(*) FROM locked) = %s RETURNING experiment.id
)"""  # noqa: S608 (constants only)
_AT_ONCE = f"""
WITH given AS (
    SELECT * FROM unnest(%s::bigint[], %s::date[], %s::text[], {_COUNT_ARRAYS})
        AS row (experiment_id, date, name, {_COUNTS})
), placed AS MATERIALIZED (
    SELECT given.*, coalesce(named.id, keyed.id) AS variant_id FROM given
    LEFT JOIN experiments_variant named ON named.experiment_id = given.experiment_id AND named.name = given.name
    LEFT JOIN experiments_variant keyed ON keyed.experiment_id = given.experiment_id AND keyed.key = given.name
), {{change}}
INSERT INTO experiments_dailymetric {_COLUMNS}
SELECT variant_id, date, {_COUNTS}, %s FROM placed
JOIN changed ON changed.id = placed.experiment_id {_OVERWRITE}
"""  # noqa: S608 (constants only)
_ONE_AT_ONCE, _SEVERAL_AT_ONCE = (_AT_ONCE.format(change=how) for how in (_RAISE_ONE, _RAISE_SEVERAL))

# Experiment id, variant id, key, name, whether it is the control.
VariantRow = tuple[int, int, str, str, bool]


def recorded_at_once(rows: Sequence[PlacedCounts], experiment_ids: Collection[int], now: dt.datetime) -> bool:
    """Raise the data versions and write the totals in one statement; return False where nothing was written.

    More is needed then: a new variant, a refusal, or a database other than PostgreSQL.
    """
    if connection.vendor != "postgresql":
        return False
    ids, dates, names, *counts = _columns(rows)
    columns: list[Any] = [_array(ids), _array(dates), list(names), *map(_array, counts)]
    ready: list[Any] = [_array(experiment_ids), list(TAKES_EVENTS), len(rows)]
    with connection.cursor() as cursor:
        if len(experiment_ids) == 1:
            cursor.execute(_ONE_AT_ONCE, [*columns, *ready, now])
        else:
            cursor.execute(_SEVERAL_AT_ONCE, [*columns, *ready, len(experiment_ids), now])
        written: int = cursor.rowcount
    return written > 0


def raise_data_versions(experiment_ids: Sequence[int]) -> int:
    """Raise the data version of those that take events, which locks them until the transaction ends; return their
    number.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE experiments_experiment SET data_version = data_version + 1 WHERE archived_at IS NULL "  # noqa: S608
            f"AND status IN ({_places(TAKES_EVENTS)}) AND id IN ({_places(experiment_ids)})",
            [*TAKES_EVENTS, *experiment_ids],
        )
        changed: int = cursor.rowcount
    return changed


def variants_of(experiment_ids: Sequence[int]) -> list[VariantRow]:
    """Return all variants of these experiments."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT experiment_id, id, key, name, is_control FROM experiments_variant "  # noqa: S608 (places only)
            f"WHERE experiment_id IN ({_places(experiment_ids)})",
            experiment_ids,
        )
        rows: list[VariantRow] = cursor.fetchall()
    return rows


def upsert_daily_metrics(rows: Sequence[PlacedCounts], now: dt.datetime) -> None:
    """Write the totals of each variant, its id beside the row; no two rows share variant and date."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            ids, dates, _names, *counts = _columns(rows)
            cursor.execute(_ARRAYS, [now, *map(_array, (ids, dates, *counts))])
        else:
            stamp = connection.ops.adapt_datetimefield_value(now)
            cursor.executemany(_ROWS, [(pk, row.date.isoformat(), *row.counts, stamp) for pk, row in rows])


def _columns(rows: Sequence[PlacedCounts]) -> list[Sequence[Any]]:
    """Turn rows into columns: ids, dates, names and each of the counts."""
    return [[pk for pk, _row in rows], *zip(*(row for _pk, row in rows), strict=True)]


def _array(values: Iterable[int | dt.date]) -> str:
    """Write an array in PostgreSQL's syntax; numbers and days need no quotes. The driver takes five times as long."""
    return f"{{{','.join(map(str, values))}}}"


def _places(values: Collection[object]) -> str:
    return ", ".join(["%s"] * len(values))
