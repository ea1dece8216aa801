"""The statements that read days, written by hand: those of windows in columns, and older ones added up."""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from allocation.ledger.table import Numbers
from experiments.database.rows import Row, places, rows_of
from experiments.metrics import COUNT_NAMES, VALUE_NAMES

# The day numbers and the counts of each variant, by its id; with values, these too.
DayColumns = dict[int, list[Numbers]]
MeasureColumns = dict[int, list[NDArray[Any]]]
# Experiment ids, the first and the last day, both inside.
Window = tuple[Sequence[int], dt.date, dt.date]

# The days and counts of each variant as texts, which numpy reads at once: rows would be thousands for Python to go
# through. Days are numbered as Python numbers them, from 1 for the first of the year 1.
_DAY = {
    "postgresql": "m.date - DATE '0001-01-01' + 1",
    "sqlite": "CAST(julianday(m.date) - 1721424.5 AS integer)",
}
_LIST = {"postgresql": "string_agg(CAST({} AS text), ',')", "sqlite": "group_concat({})"}
_COLUMNS = """
SELECT m.variant_id, {lists}
FROM experiments_variant v JOIN experiments_dailymetric m ON m.variant_id = v.id
WHERE {window} GROUP BY m.variant_id
"""
# Values are no texts: SQLite writes 15 digits of them. No order is asked for, as arrays are sorted sooner.
_MEASURES = """
SELECT m.variant_id, {day}, {counts}, {values}
FROM experiments_variant v JOIN experiments_dailymetric m ON m.variant_id = v.id
WHERE {windows}
"""
_OLDER = """
SELECT v.experiment_id, v.id, min(m.date), max(m.date), count(*), sum(m.impressions)
FROM experiments_variant v JOIN experiments_dailymetric m ON m.variant_id = v.id
    AND (m.variant_id, m.date) < (v.id, %s)
WHERE v.experiment_id IN ({places}) AND m.impressions > 0 GROUP BY v.experiment_id, v.id
"""
_OLDER_DATES = """
SELECT v.experiment_id, count(DISTINCT m.date)
FROM experiments_variant v JOIN experiments_dailymetric m ON m.variant_id = v.id
    AND (m.variant_id, m.date) < (v.id, %s)
WHERE v.experiment_id IN ({places}) AND m.impressions > 0 GROUP BY v.experiment_id
"""
# Pairs, which the index by variant and date alone answers: of two plain bounds on the date PostgreSQL chose the one by
# date and variant, and looked into every day of every experiment.
_WINDOW = """(v.experiment_id IN ({places}) AND (m.variant_id, m.date) >= (v.id, %s)
    AND (m.variant_id, m.date) <= (v.id, %s))"""


class Older(NamedTuple):
    """The days of an experiment before some date: the last with impressions, how many, of each variant (by id)."""

    latest: dt.date | None = None
    days: int = 0
    impressions: int = 0
    variant_days: Mapping[int, int] = {}


def columns_of_measures(windows: Collection[Window]) -> MeasureColumns:
    """Read the day numbers, counts and values of each variant that has data in these windows, by variant id."""
    where = " OR ".join(_WINDOW.format(places=places(ids)) for ids, _first, _last in windows)
    parameters = [
        value for ids, first, last in windows for value in (*ids, first.isoformat(), last.isoformat())
    ]
    sql = _MEASURES.format(
        day=_DAY[connection.vendor],
        counts=", ".join(f"m.{name}" for name in COUNT_NAMES),
        # the nearest float to each exact sum: the engine takes no other
        values=", ".join(f"CAST(m.{name} AS double precision)" for name in VALUE_NAMES),
        windows=where,
    )
    return _measure_columns(rows_of(sql, parameters)) if windows else {}


def _measure_columns(rows: Sequence[Row]) -> MeasureColumns:
    """Cut columns of all rows into those of each variant, days rising."""
    if not rows:
        return {}
    types = [np.int64] * (2 + len(COUNT_NAMES)) + [np.float64] * len(VALUE_NAMES)
    columns = [
        np.fromiter(of, kind, len(rows)) for of, kind in zip(zip(*rows, strict=True), types, strict=True)
    ]
    order = np.lexsort(columns[1::-1])
    variant, *measures = (column[order] for column in columns)
    edges = np.flatnonzero(variant[1:] != variant[:-1]) + 1
    ids = variant[[0, *edges]].tolist()
    return dict(zip(ids, map(list, zip(*(np.split(of, edges) for of in measures), strict=True)), strict=True))


def columns_of_days(ids: Collection[int], first: dt.date, last: dt.date) -> DayColumns:
    """Read the day numbers and the counts of each variant of these experiments that has data, by variant id."""
    return day_columns(rows_of(*select_columns(ids, first, last))) if ids else {}


def select_columns(ids: Collection[int], first: dt.date, last: dt.date) -> tuple[str, list[Any]]:
    a_list, columns = _LIST[connection.vendor], (_DAY[connection.vendor], *(f"m.{n}" for n in COUNT_NAMES))
    lists = ", ".join(a_list.format(column) for column in columns)
    sql = _COLUMNS.format(lists=lists, window=_WINDOW.format(places=places(ids)))
    return sql, [*ids, first.isoformat(), last.isoformat()]


def day_columns(rows: Iterable[Row]) -> DayColumns:
    return {
        pk: [np.fromstring(column, dtype=np.int64, sep=",") for column in columns] for pk, *columns in rows
    }


def older_days(ids: Collection[int], before: dt.date) -> dict[int, Older]:
    """Add up the days before a date of each experiment that has some, by its id."""
    if not ids:
        return {}
    parameters, found = [before.isoformat(), *ids], defaultdict[int, list[Row]](list)
    for pk, *row in rows_of(_OLDER.format(places=places(ids)), parameters):
        found[pk].append(row)
    older = {pk: _older(rows) for pk, rows in found.items()}
    if gaps := [pk for pk, one in older.items() if not one.days]:
        counted = _dates_of(gaps, before)
        for pk in gaps:
            # days may have been taken away since the other statement: those of one variant are the least it saw
            least = max(older[pk].variant_days.values())
            older[pk] = older[pk]._replace(days=max(counted.get(pk, 0), least))
    return older


def _dates_of(ids: Collection[int], before: dt.date) -> dict[int, int]:
    """Count the days before a date on which any variant has impressions, of each experiment that has some."""
    found = rows_of(_OLDER_DATES.format(places=places(ids)), [before.isoformat(), *ids])
    return {pk: int(days) for pk, days in found}


def _older(rows: Sequence[Row]) -> Older:
    """Sum the variants' rows up; 0 days where no variant has them all, so that dates must be compared."""
    first, latest = min(date_of(row[1]) for row in rows), max(date_of(row[2]) for row in rows)
    variant_days = {variant: days for variant, _first, _latest, days, _impressions in rows}
    span = (latest - first).days + 1
    return Older(
        latest=latest,
        days=span if span in variant_days.values() else 0,
        impressions=sum(int(impressions) for *_, impressions in rows),
        variant_days=variant_days,
    )


def date_of(value: dt.date | str) -> dt.date:
    """Read a date of an expression: SQLite has them as text."""
    return dt.date.fromisoformat(value) if isinstance(value, str) else value
