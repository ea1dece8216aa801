"""Reads of what is stored of many rows' variants and days, at once and by hand: the ORM takes longer than the query."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from decimal import Context, Decimal
from itertools import islice
from operator import itemgetter
from typing import Any, TypeVar

from django.db import connection

from experiments.database.rows import places
from experiments.ingestion.upsert import PlacedCounts, VariantRow, ids_by_name, variants_of
from experiments.metrics import COUNT_NAMES, EXACT_DIGITS, MEASURE_NAMES, VALUE_PLACES, Counts, DayTotals

T = TypeVar("T")
# The variant's id and the day of a statement's row.
_VARIANT_AND_DAY = itemgetter(0, 1)
# Variants, and single days, of one statement: SQLite takes at least 999 parameters.
_MOST_AT_ONCE = 400
# In a statement's row, behind the variant and the day.
_SUM = 2 + MEASURE_NAMES.index("value_sum")
# As the ORM reads a number that SQLite keeps.
_from_float = Context(prec=EXACT_DIGITS).create_decimal_from_float
_SMALLEST_VALUE = Decimal(1).scaleb(-VALUE_PLACES)


def stored_counts(placed: Sequence[PlacedCounts]) -> list[Counts[int] | None]:
    """Return the counts stored of the variant and day of each row, which is beside its experiment's id; None where
    there are none. A variant answers to its name and key. Two queries for each 400 variants.
    """
    known = _variants_of(placed)
    found = _rows(placed, known, COUNT_NAMES)
    counts: Iterable[Counts[int]] = map(Counts._make, (row[2:] for row in found))
    return _beside_each(placed, known, dict(zip(map(_VARIANT_AND_DAY, found), counts, strict=True)))


def stored_totals(placed: Sequence[PlacedCounts]) -> list[DayTotals | None]:
    """Return all that is stored of the variant and day of each row, as ``stored_counts`` does."""
    known = _variants_of(placed)
    found = _rows(placed, known, MEASURE_NAMES)
    if connection.vendor == "sqlite":
        sums = [value.quantize(_SMALLEST_VALUE) for value in map(_from_float, [row[_SUM] for row in found])]
        totals = (
            (*row[2:_SUM], value_sum, *row[_SUM + 1 :]) for row, value_sum in zip(found, sums, strict=True)
        )
    else:
        totals = (row[2:] for row in found)
    return _beside_each(
        placed, known, dict(zip(map(_VARIANT_AND_DAY, found), map(DayTotals._make, totals), strict=True))
    )


def _beside_each(
    placed: Sequence[PlacedCounts], known: Sequence[VariantRow], stored: Mapping[tuple[int, str], T]
) -> list[T | None]:
    """Give each row what is stored of its place."""
    ids = ids_by_name(known)
    variants = [ids.get((pk, row.variant_name), 0) for pk, row in placed]
    days = [row.date for _pk, row in placed]
    written = {day: day.isoformat() for day in set(days)}
    return list(map(stored.get, zip(variants, map(written.__getitem__, days), strict=True)))


def _variants_of(placed: Sequence[PlacedCounts]) -> list[VariantRow]:
    """Return all variants of the experiments that the rows are of."""
    return [row for ids in _some({pk for pk, _row in placed}) for row in variants_of(ids)]


def _rows(placed: Sequence[PlacedCounts], known: Sequence[VariantRow], names: Sequence[str]) -> list[Any]:
    """Read these numbers of all the rows' variants and days, and of few others, behind the variant's id and the day as
    text: the driver of SQLite takes long to make a day of it.
    """
    named = {(pk, row.variant_name) for pk, row in placed}
    # a file in the order of its variants has few of them beside all days, one in the order of days the other way round
    variants = [pk for e, pk, key, name, _ in known if (e, key) in named or (e, name) in named]
    days = {row.date for _pk, row in placed}
    return [row for some in _some(variants) for row in _rows_of(some, days, names)]


def _rows_of(variants: Sequence[int], days: Set[dt.date], names: Sequence[str]) -> list[Any]:
    """Read these numbers of the variants on these days, by one statement."""
    written = {day.isoformat() for day in days}
    # one correction of a day long past does not read all that has come since
    is_span = len(days) > min((max(days) - min(days)).days, _MOST_AT_ONCE)
    condition = "BETWEEN %s AND %s" if is_span else f"IN ({places(written)})"
    sql = (
        f"SELECT variant_id, CAST(date AS varchar), {', '.join(names)} FROM experiments_dailymetric "  # noqa: S608
        f"WHERE variant_id IN ({places(variants)}) AND date {condition}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*variants, *([min(written), max(written)] if is_span else written)])
        rows: list[Any] = cursor.fetchall()
    return [row for row in rows if row[1] in written]


def _some(ids: Iterable[int]) -> Iterator[list[int]]:
    """Yield ids, as many as a statement takes."""
    source = iter(ids)
    while some := list(islice(source, _MOST_AT_ONCE)):
        yield some
