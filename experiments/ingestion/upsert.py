"""The statements of an ingestion, spelt by hand: the ORM takes longer to spell them than the database to run them.

PostgreSQL takes the rows' columns as arrays, and what needs no new variant as one statement: its locks are held while
the database works and not while this process does. SQLite, and all else, takes three statements under the locks.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.db import connection

from experiments.models import TAKES_EVENTS

# Variant id, date, impressions, clicks, conversions.
MetricValues = tuple[int, dt.date, int, int, int]

_COLUMNS = "(variant_id, date, impressions, clicks, conversions, updated_at)"
_OVERWRITE = (
    "ON CONFLICT (variant_id, date) DO UPDATE SET impressions = excluded.impressions, clicks = excluded.clicks, "
    "conversions = excluded.conversions, updated_at = excluded.updated_at"
)
_ARRAYS = (
    f"INSERT INTO experiments_dailymetric {_COLUMNS} "  # noqa: S608 (constants only)
    "SELECT *, %s::timestamptz FROM unnest(%s::bigint[], %s::date[], %s::bigint[], %s::bigint[], %s::bigint[]) "
    + _OVERWRITE
)
_ROWS = f"INSERT INTO experiments_dailymetric {_COLUMNS} VALUES (%s, %s, %s, %s, %s, %s) {_OVERWRITE}"  # noqa: S608


# All or nothing: one row without a variant, one variant twice, one experiment that takes no events, and nothing is
# counted or written. After waiting for a lock, PostgreSQL looks at the experiment's status again. A rename that commits
# meanwhile counts as later.
_READY = """id = ANY(%s::bigint[]) AND archived_at IS NULL AND status = ANY(%s)
    AND %s = (SELECT count(DISTINCT (variant_id, date)) FROM placed WHERE variant_id IS NOT NULL)"""
_RAISE = "UPDATE experiments_experiment experiment SET data_version = data_version + 1"
_RAISE_ONE = f"changed AS ({_RAISE} WHERE {_READY} RETURNING id)"
# The locks come in the order of ids, as everywhere.
_RAISE_SEVERAL = f"""locked AS MATERIALIZED (
    SELECT id FROM experiments_experiment WHERE {_READY} ORDER BY id FOR NO KEY UPDATE
), changed AS (
    {_RAISE} FROM locked
    WHERE experiment.id = locked.id AND (SELECT count(*) FROM locked) = %s RETURNING experiment.id
)"""  # noqa: S608 (constants only)
_AT_ONCE = f"""
WITH given AS (
    SELECT * FROM unnest(%s::bigint[], %s::text[], %s::date[], %s::bigint[], %s::bigint[], %s::bigint[])
        AS row (experiment_id, name, date, impressions, clicks, conversions)
), placed AS MATERIALIZED (
    SELECT given.*, coalesce(named.id, keyed.id) AS variant_id FROM given
    LEFT JOIN experiments_variant named ON named.experiment_id = given.experiment_id AND named.name = given.name
    LEFT JOIN experiments_variant keyed ON keyed.experiment_id = given.experiment_id AND keyed.key = given.name
), {{change}}
INSERT INTO experiments_dailymetric {_COLUMNS}
SELECT variant_id, date, impressions, clicks, conversions, %s FROM placed
JOIN changed ON changed.id = placed.experiment_id {_OVERWRITE}
"""  # noqa: S608 (constants only)
_ONE_AT_ONCE, _SEVERAL_AT_ONCE = (_AT_ONCE.format(change=how) for how in (_RAISE_ONE, _RAISE_SEVERAL))

# Experiment id, name or key of a variant, date, impressions, clicks, conversions.
NamedValues = tuple[int, str, dt.date, int, int, int]
# Experiment id, variant id, key, name, whether it is the control.
VariantRow = tuple[int, int, str, str, bool]


def recorded_at_once(rows: Sequence[NamedValues], experiment_ids: Collection[int], now: dt.datetime) -> bool:
    """Counts the change and writes the day's totals in one statement; False where nothing was done, and it takes
    more: a new variant, a refusal, another database than PostgreSQL."""
    if connection.vendor != "postgresql":
        return False
    ids, names, *others = zip(*rows, strict=True)
    columns: list[Any] = [_array(ids), list(names), *map(_array, others)]
    ready: list[Any] = [_array(experiment_ids), list(TAKES_EVENTS), len(rows)]
    with connection.cursor() as cursor:
        if len(experiment_ids) == 1:
            cursor.execute(_ONE_AT_ONCE, [*columns, *ready, now])
        else:
            cursor.execute(_SEVERAL_AT_ONCE, [*columns, *ready, len(experiment_ids), now])
        written: int = cursor.rowcount
    return written > 0


def raise_data_versions(experiment_ids: Sequence[int]) -> int:
    """Counts a change of those that take events, and locks them until the transaction ends; how many they are."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE experiments_experiment SET data_version = data_version + 1 WHERE archived_at IS NULL "  # noqa: S608
            f"AND status IN ({_places(TAKES_EVENTS)}) AND id IN ({_places(experiment_ids)})",
            [*TAKES_EVENTS, *experiment_ids],
        )
        changed: int = cursor.rowcount
    return changed


def variants_of(experiment_ids: Sequence[int]) -> list[VariantRow]:
    """Every variant of these experiments."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT experiment_id, id, key, name, is_control FROM experiments_variant "  # noqa: S608 (places only)
            f"WHERE experiment_id IN ({_places(experiment_ids)})",
            experiment_ids,
        )
        rows: list[VariantRow] = cursor.fetchall()
    return rows


def upsert_daily_metrics(rows: Sequence[MetricValues], now: dt.datetime) -> None:
    """Writes the day's totals of each variant; no (variant, date) may stand twice in ``rows``."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_ARRAYS, [now, *map(_array, zip(*rows, strict=True))])
        else:
            stamp = connection.ops.adapt_datetimefield_value(now)
            cursor.executemany(_ROWS, [(pk, day.isoformat(), *counts, stamp) for pk, day, *counts in rows])


def _array(values: Iterable[int | dt.date]) -> str:
    """PostgreSQL's own spelling, which needs no quotes for numbers and days: the driver's takes five times as long."""
    return f"{{{','.join(map(str, values))}}}"


def _places(values: Collection[object]) -> str:
    return ", ".join(["%s"] * len(values))
