"""Daily rows into the database in one statement, however many there are.

The ORM spells a statement of six parameters a row, and spends most of an ingestion's time on that. PostgreSQL takes
the columns as arrays, SQLite the rows one by one; both keep the constraints and overwrite what is there.
"""

import datetime as dt
from collections.abc import Sequence

from django.db import connection

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


def upsert_daily_metrics(rows: Sequence[MetricValues], now: dt.datetime) -> None:
    """Writes the day's totals of each variant; no (variant, date) may stand twice in ``rows``."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_ARRAYS, [now, *(list(column) for column in zip(*rows, strict=True))])
        else:
            stamp = connection.ops.adapt_datetimefield_value(now)
            cursor.executemany(_ROWS, [(pk, day.isoformat(), *counts, stamp) for pk, day, *counts in rows])
