"""The statements of an ingestion, spelt by hand: there are three, however many rows come in.

The ORM takes longer to spell them than the database to run them, and would give each row six parameters. PostgreSQL
takes the rows' columns as arrays, SQLite the rows one by one; both keep the constraints and overwrite what is there.
"""

import datetime as dt
from collections.abc import Collection, Sequence

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


# Experiment id, variant id, key, name, whether it is the control.
VariantRow = tuple[int, int, str, str, bool]


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
            cursor.execute(_ARRAYS, [now, *(list(column) for column in zip(*rows, strict=True))])
        else:
            stamp = connection.ops.adapt_datetimefield_value(now)
            cursor.executemany(_ROWS, [(pk, day.isoformat(), *counts, stamp) for pk, day, *counts in rows])


def _places(values: Collection[object]) -> str:
    return ", ".join(["%s"] * len(values))
