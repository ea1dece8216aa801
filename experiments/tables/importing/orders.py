"""Files of single orders: a line for each, added up by variant and day.

Such a file says a day's conversions, value and squares. What was seen and clicked that day stays as it is stored.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import repeat
from operator import attrgetter
from typing import Any

from django.utils.translation import gettext as _

from experiments.ingestion.single_values import Orders, are_single_values, order_problem
from experiments.ingestion.stored import stored_counts, stored_totals
from experiments.metrics import NO_COUNTS, NO_VALUE, VALUE_NAMES, Counts, DailyCounts, DayTotals, columns_of
from experiments.tables.importing.blocks import in_blocks
from experiments.tables.importing.moments import Moments
from experiments.tables.importing.plain_rows import Column
from experiments.tables.importing.references import References
from experiments.tables.importing.row_kinds import BadRow, CsvRow
from experiments.tables.importing.rows import NUMBER_NAMES, ORDER_VALUE, Blank, RowReader
from experiments.tables.issues import RowIssue
from experiments.tables.reading.header import Columns, Header
from experiments.tables.reading.synonyms import ORDER_SYNONYMS
from experiments.tables.ways_in import Advice
from experiments.text import written_day

# Columns of a day's totals: a file that has one is no file of orders.
TOTALS = tuple(name for name in NUMBER_NAMES if name != VALUE_NAMES[0])
_NAMES = ("experiment_id", "date", "variant_name", ORDER_VALUE)
ORDERS = Columns(
    needed={name: name for name in _NAMES},
    optional={name: name for name in TOTALS},
    # a column called value, or by a day's sum's other names, is only here that of an order
    synonyms={form: column for form, column in ORDER_SYNONYMS.items() if column != VALUE_NAMES[0]},
)
_VALUE = NUMBER_NAMES.index(VALUE_NAMES[0])
# The line of an order, its experiment and day, its variant and its value.
Order = tuple[int, str, dt.date, str, Decimal]
# Orders of a variant by their day, and the most that one of them counts as.
_Variant = tuple[dict[dt.date, Orders], Decimal | None]


def _plain_orders(
    lines: Iterable[int],
    experiments: Iterable[str],
    days: Iterable[dt.date],
    variants: Iterable[str],
    numbers: Sequence[Iterable[Any]],
) -> Iterable[Order]:
    """Build orders of the columns of their parts."""
    return zip(lines, experiments, days, variants, numbers[_VALUE], strict=False)


class OrderReader(RowReader):
    """Reads lines as orders, and yields each variant's day: its orders added up, beside what is stored of it."""

    number_columns: Sequence[str] = tuple(
        ORDER_VALUE if name == VALUE_NAMES[0] else "" for name in NUMBER_NAMES
    )
    # each order is a conversion
    absent: Sequence[Any] = tuple(1 if name == "conversions" else 0 for name in NUMBER_NAMES)
    build_plain: Callable[..., Iterable[Any]] = staticmethod(_plain_orders)
    has_times = True

    def __init__(
        self,
        header: Header,
        blank: Blank,
        references: References,
        advice: Advice,
        **more: Any,
    ) -> None:
        super().__init__(header, blank, advice, **more)
        self._references = references

    def _day_column(self) -> Column:
        return Moments(self._days)

    def rows(self, is_brief: Callable[[], bool] = lambda: False) -> Iterator[CsvRow | BadRow]:
        """Yield the lines that cannot be read, then the days in the order of their first lines."""
        days = _Days(self._references)
        for order in self.orders(is_brief):
            if isinstance(order, BadRow):
                yield order
            else:
                days.add(*order)
        yield from self.as_stored_now(days.rows())

    def orders(self, is_brief: Callable[[], bool] = lambda: False) -> Iterator[Order | BadRow]:
        """Yield each line that holds anything as an order, or with its problems."""
        for lines in in_blocks(self.header.lines()):
            plain = self.plain_rows(lines)
            values = [order[-1] for order in plain if order is not None]
            are_good = not values or are_single_values(values)
            for (line, cells), order in zip(lines, plain, strict=True):
                if order is not None and are_good:
                    yield order
                elif (read := order or self._closely_read(line, cells, is_brief)) is not None:
                    yield self._judged(read)

    def _closely_read(
        self, line: int, cells: list[str], is_brief: Callable[[], bool]
    ) -> Order | BadRow | None:
        row = self.look_at(line, cells, is_brief)
        if not isinstance(row, CsvRow):
            return row
        counts = row.counts
        return line, row.experiment, counts.date, counts.variant_name, counts.value_sum or NO_VALUE

    def _judged(self, order: Order | BadRow) -> Order | BadRow:
        """Judge the value of an order."""
        if isinstance(order, BadRow) or not (problem := order_problem(order[-1])):
            return order
        line, experiment, day, name, _value = order
        return BadRow(line, (RowIssue(line, self.names[ORDER_VALUE], problem),), experiment, (day, name))

    def as_stored_now(
        self, rows: Iterable[CsvRow | BadRow], *, with_totals: bool = False
    ) -> Iterator[CsvRow | BadRow]:
        """Put the orders of days beside the counts that are stored at this moment, and beside all else that is stored
        of them if asked to; other rows, which come before, stay as they are.
        """
        orders = list[CsvRow]()
        for row in rows:
            if isinstance(row, BadRow):
                yield row
            else:
                orders.append(row)
        if orders:
            ids = {name: self._known_id(name) for name in {row.experiment for row in orders}}
            placed = [(ids[row.experiment], row.counts) for row in orders]
            yield from _beside(orders, (stored_totals if with_totals else stored_counts)(placed))

    def _known_id(self, reference: str) -> int:
        """Return the id of an experiment; 0 where there is none."""
        known = self._references.identity(reference).experiment
        return known if isinstance(known, int) else 0


def _beside(
    orders: Sequence[CsvRow], stored: Sequence[DayTotals | None] | Sequence[Counts[int] | None]
) -> Iterator[CsvRow]:
    """Put the orders of each day beside what is stored of it."""
    columns = columns_of(row.counts for row in orders)
    seen = [NO_COUNTS if before is None else before for before in stored]
    counts = zip(
        columns.date,
        columns.variant_name,
        map(attrgetter("impressions"), seen),
        map(attrgetter("clicks"), seen),
        *columns[-3:],
        strict=True,
    )
    totals = (before if isinstance(before, DayTotals) else None for before in stored)
    lines, experiments, _counts, *more, _before = zip(*orders, strict=True)
    return map(
        CsvRow._make, zip(lines, experiments, map(DailyCounts._make, counts), *more, totals, strict=True)
    )


class _Days:
    """Orders added up by variant and day, in the order of their first lines."""

    def __init__(self, references: References) -> None:
        self._references = references
        self._days: list[tuple[int, str, dt.date, str, Orders]] = []
        # By what the file calls the experiment and the variant, and by what both are known by.
        self._named: dict[tuple[str, str], _Variant] = {}
        self._known: dict[tuple[int | str, str], _Variant] = {}

    def add(self, line: int, experiment: str, day: dt.date, name: str, value: Decimal) -> None:
        by_day, cap = self._named.get((experiment, name)) or self._look_up(experiment, name)
        if (orders := by_day.get(day)) is None:
            orders = by_day[day] = Orders(cap)
            self._days.append((line, experiment, day, name, orders))
        orders.add(value or NO_VALUE)

    def _look_up(self, experiment: str, name: str) -> _Variant:
        identity = self._references.identity(experiment)
        found = self._references.find(experiment)
        variant: _Variant = ({}, found.value_cap if found else None)
        known = identity.experiment, identity.variants.get(name, name)
        self._named[experiment, name] = variant = self._known.setdefault(known, variant)
        return variant

    def rows(self) -> Iterator[CsvRow]:
        """Build a row of each day's orders, without the counts that are stored beside them."""
        if not self._days:
            return iter(())
        lines, experiments, days, names, orders = zip(*self._days, strict=True)
        numbers = [(one.count, one.value_sum, one.value_squares, one.cut) for one in orders]
        counted, sums, squares, cut = zip(*numbers, strict=True)
        counts = zip(days, names, repeat(0), repeat(0), counted, sums, squares, strict=False)
        rows = zip(
            lines, experiments, map(DailyCounts._make, counts), counted, cut, repeat(None), strict=False
        )
        return map(CsvRow._make, rows)


def without_impressions(row: CsvRow) -> str:
    """Say that nothing is stored beside orders; "" where there is."""
    if row.counts.impressions:
        return ""
    message = _(
        "%(variant)r has orders on %(date)s, but no impressions are stored of that day; load the day's totals first"
    )
    return message % {"variant": row.counts.variant_name, "date": written_day(row.counts.date)}
