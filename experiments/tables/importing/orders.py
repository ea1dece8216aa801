"""Files of single orders: a line for each, added up by variant and day.

Such a file says a day's conversions, value and squares. What was seen and clicked that day stays as it is stored.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from experiments.ingestion.diff import DAY_AS_TEXT
from experiments.ingestion.single_values import Orders, order_problem
from experiments.metrics import NO_VALUE, VALUE_NAMES, DailyCounts
from experiments.models import DailyMetric
from experiments.tables.importing.references import References
from experiments.tables.importing.row_kinds import BadRow, CsvRow
from experiments.tables.importing.rows import NUMBER_NAMES, ORDER_VALUE, Blank, RowReader
from experiments.tables.issues import RowIssue
from experiments.tables.reading.dates import DateOrder
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


class _Day(NamedTuple):
    """A variant's orders of a day, and the first line that has one."""

    first: CsvRow
    orders: Orders


# Experiment, day and key of the variant.
_Place = tuple[int | str, dt.date, str]


class OrderReader(RowReader):
    """Reads lines as orders, and yields each variant's day: its orders added up, beside what is stored of it."""

    number_columns: Sequence[str] = tuple(
        ORDER_VALUE if name == VALUE_NAMES[0] else "" for name in NUMBER_NAMES
    )
    # each order is a conversion
    absent: Sequence[Any] = tuple(1 if name == "conversions" else 0 for name in NUMBER_NAMES)
    has_times = True

    def __init__(
        self,
        header: Header,
        blank: Blank,
        references: References,
        advice: Advice,
        date_order: DateOrder = "detect",
    ) -> None:
        super().__init__(header, blank, advice, date_order)
        self._references = references
        # The experiment and key of a variant, by what the file calls both.
        self._variants: dict[tuple[str, str], tuple[int | str, str]] = {}

    def rows(self, is_brief: Callable[[], bool] = lambda: False) -> Iterator[CsvRow | BadRow]:
        """Yield the lines that cannot be read, then the days in the order of their first lines."""
        days: dict[_Place, _Day] = {}
        for row in super().rows(is_brief):
            if isinstance(row, BadRow):
                yield row
            elif problem := order_problem(row.counts.value_sum or NO_VALUE):
                issue = RowIssue(row.line, self.names[ORDER_VALUE], problem)
                place = (row.counts.date, row.counts.variant_name)
                yield BadRow(row.line, (issue,), row.experiment, place)
            else:
                self._add(row, days)
        yield from self.as_stored_now(_rows_of(days.values()))

    def _add(self, row: CsvRow, days: dict[_Place, _Day]) -> None:
        place = self._place_of(row)
        if (day := days.get(place)) is None:
            found = self._references.find(row.experiment)
            day = days[place] = _Day(row, Orders(found.value_cap if found else None))
        day.orders.add(row.counts.value_sum or NO_VALUE)

    def as_stored_now(self, rows: Iterable[CsvRow | BadRow]) -> Iterator[CsvRow | BadRow]:
        """Put the orders of days beside the counts that are stored at this moment; other rows stay as they are."""
        found = [(row, self._place_of(row) if isinstance(row, CsvRow) else None) for row in rows]
        stored = _stored(place for _row, place in found if place)
        for row, place in found:
            if place is None or isinstance(row, BadRow):
                yield row
                continue
            date, name, _impressions, _clicks, *orders = row.counts
            counts = DailyCounts._make((date, name, *stored.get(place, (0, 0)), *orders))
            yield CsvRow(row.line, row.experiment, counts, row.rows, row.capped)

    def _place_of(self, row: CsvRow) -> _Place:
        named = (row.experiment, row.counts.variant_name)
        if (variant := self._variants.get(named)) is None:
            identity = self._references.identity(row.experiment)
            variant = identity.experiment, identity.variants.get(named[1], named[1])
            self._variants[named] = variant
        return variant[0], row.counts.date, variant[1]


def _rows_of(days: Iterable[_Day]) -> Iterator[CsvRow]:
    """Build a row of each day's orders, without the counts that are stored beside them."""
    for first, orders in days:
        date, name = first.counts[:2]
        counts = DailyCounts(date, name, 0, 0, orders.count, orders.value_sum, orders.value_squares)
        yield CsvRow(first.line, first.experiment, counts, orders.count, orders.cut)


def _stored(places: Iterable[_Place]) -> dict[_Place, tuple[int, int]]:
    """Read the impressions and clicks of these days; one query for each experiment."""
    found: dict[_Place, tuple[int, int]] = {}
    dates: dict[int, set[dt.date]] = {}
    for experiment, date, _variant in places:
        if isinstance(experiment, int):
            dates.setdefault(experiment, set()).add(date)
    for experiment, days in dates.items():
        by_text = {day.isoformat(): day for day in days}
        rows = DailyMetric.objects.filter(
            variant__experiment_id=experiment, date__range=(min(days), max(days))
        )
        for text, key, *counts in rows.values_list(DAY_AS_TEXT, "variant__key", "impressions", "clicks"):
            if text in by_text:
                found[experiment, by_text[text], key] = (counts[0], counts[1])
    return found


def without_impressions(row: CsvRow) -> str:
    """Say that nothing is stored beside orders; "" where there is."""
    if row.counts.impressions:
        return ""
    message = _(
        "%(variant)r has orders on %(date)s, but no impressions are stored of that day; load the day's totals first"
    )
    return message % {"variant": row.counts.variant_name, "date": written_day(row.counts.date)}
