"""The days that a decision looks at, and those that are added up."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from allocation.ledger.days.reading import DaysAsked, DaysRead, first_read, read_days
from allocation.ledger.days.statements import columns_of_measures
from experiments.metrics import MEASURE_NAMES, DailyCounts
from experiments.models import DailyMetric, Experiment
from tests.factory import TODAY, counts, make_experiment, record

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)


def _with_variants() -> Experiment:
    """Make an experiment of two variants without a single impression."""
    experiment = make_experiment()
    record(experiment, counts("control", 0, 0), counts("b", 0, 0))
    return experiment


def _read(
    experiment: Experiment, span: int, since: dt.date | None = None, *, with_values: bool = False
) -> DaysRead:
    variants = [variant.pk for variant in experiment.variants.all()]
    asked = DaysAsked(experiment.pk, variants, span, since, with_values=with_values, has_older=True)
    return read_days([asked], TODAY)[experiment.pk]


def _dates(read: DaysRead) -> list[dt.date]:
    return read.table.dates


def test_read_days__longer_history_than_any_window__is_added_up() -> None:
    experiment = _with_variants()
    old = first_read(TODAY) - DAY
    record(experiment, counts("control", 5, 1, date=old), counts("b", 7, 1, date=old))
    record(experiment, counts("control", 11, 1, date=old - DAY), counts("control", 100, 9, date=TODAY - DAY))

    read = _read(experiment, span=2)

    control, b = experiment.variants.order_by("pk")
    assert _dates(read) == [TODAY - DAY]
    assert (read.earlier_impressions, read.days_with_data) == (23, 3)
    assert read.variant_days == {control.pk: 3, b.pk: 1}


def test_read_days__no_data_lately__reads_the_window_that_ends_then() -> None:
    experiment = _with_variants()
    last = first_read(TODAY) - 10 * DAY
    for n in range(4):
        record(experiment, counts("control", 10, 1, date=last - n * DAY))

    read = _read(experiment, span=2)

    assert _dates(read) == [last - DAY, last]
    assert (read.earlier_impressions, read.days_with_data) == (20, 4)


def test_read_days__window_that_begins_before_what_is_read_at_first__is_whole() -> None:
    experiment = _with_variants()
    last, first = TODAY - 5 * DAY, first_read(TODAY) - 3 * DAY
    record(experiment, counts("control", 10, 1, date=last), counts("control", 20, 1, date=first))

    assert _dates(_read(experiment, span=(last - first).days + 1)) == [first, last]
    assert _dates(_read(experiment, span=(last - first).days)) == [last]
    assert _dates(_read(experiment, span=1, since=dt.date.min)) == [first, last]


@pytest.mark.parametrize("with_values", [False, True])
def test_read_days__some_before_what_is_read_at_first__are_put_before_it(with_values: bool) -> None:
    experiment, first = _with_variants(), first_read(TODAY)
    numbers = {-2: 3, -1: 5, 0: 7, 1: 11}
    for n, clicks in numbers.items():
        row = DailyCounts(first + n * DAY, "b", 20, clicks, 1, Decimal(10 * clicks), 100.0 * clicks**2)
        record(experiment, row)

    with CaptureQueriesContext(connection) as asked:
        table = _read(experiment, span=1, since=dt.date.min, with_values=with_values).table

    assert table.dates == [first + n * DAY for n in numbers]
    assert table.counts.clicks.tolist() == [[0, clicks] for clicks in numbers.values()]
    values = [[[0, 10 * n] for n in numbers.values()], [[0, 100 * n**2] for n in numbers.values()]]
    assert (None if table.values is None else [v.tolist() for v in table.values]) == (
        values if with_values else None
    )
    # the days from the first on are not read again
    assert str(first - DAY) in asked[-1]["sql"]
    assert str(TODAY) not in asked[-1]["sql"]


def test_read_days__rows_without_impressions__end_no_window() -> None:
    experiment = _with_variants()
    record(experiment, counts("control", 10, 1, date=TODAY - 3 * DAY), counts("b", 0, 0, date=TODAY))

    read = _read(experiment, span=2)

    assert _dates(read) == [TODAY - 3 * DAY]
    assert read.days_with_data == 1


def test_read_days__no_impressions__is_empty(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    experiment = _with_variants()

    with django_assert_num_queries(3):  # the variants, the days, and whether there are older ones
        read = _read(experiment, span=10)

    assert read.table.counts.impressions.shape == (0, 2)
    assert (read.earlier_impressions, read.days_with_data) == (0, 0)


@pytest.mark.parametrize(
    ("control", "b", "statements"),
    [([1, 2, 3, 4], [2, 4], 3), ([1, 3], [2, 4], 4), ([1, 2], [5], 4), ([3], [3], 3), ([1, 4], [1, 4], 4)],
)
def test_read_days__older_days_with_and_without_gaps__are_counted_by_date(
    control: list[int], b: list[int], statements: int
) -> None:
    experiment, first = _with_variants(), first_read(TODAY)
    for name, days in (("control", control), ("b", b)):
        for back in days:
            record(experiment, counts(name, 10, 1, date=first - back * DAY))
    record(experiment, counts("control", 10, 1, date=TODAY))

    with CaptureQueriesContext(connection) as asked:
        read = _read(experiment, span=1)

    # the dates are only compared where no variant has them all
    assert len(asked) == statements
    assert read.days_with_data == len({*control, *b}) + 1
    assert list(read.variant_days.values()) == [len(control) + 1, len(b)]


def test_read_days__older_days_that_vanish_meanwhile__are_as_the_first_statement_saw_them() -> None:
    experiment, first = _with_variants(), first_read(TODAY)
    for name, days in (("control", [1, 3]), ("b", [2])):
        for back in days:
            record(experiment, counts(name, 10, 1, date=first - back * DAY))

    def take_away_first(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if "count(DISTINCT m.date)" in sql:
            with connection.cursor() as cursor:
                cursor.cursor.execute("DELETE FROM experiments_dailymetric")
        return execute(sql, *rest)

    with connection.execute_wrapper(take_away_first):
        read = _read(experiment, span=1)

    # of the three days two were one variant's
    assert (read.days_with_data, list(read.variant_days.values())) == (2, [2, 1])


def test_columns_of_measures__sums_of_many_digits__are_the_nearest_floats() -> None:
    experiment = _with_variants()
    sums = [
        Decimal("0.1"),
        Decimal("1234567890.1234"),
        Decimal("12345678901.3457"),
        Decimal("90071992547.0003"),
    ]
    for back, value in enumerate(sums):
        for name in ("control", "b"):
            row = DailyCounts(
                TODAY - back * DAY, name, 10**9, 10**9, 10**9, value + back, float(value + back) ** 2 / 3
            )
            record(experiment, row)

    columns = columns_of_measures([([experiment.pk], dt.date.min, TODAY)])

    expected: dict[int, list[tuple[float, ...]]] = defaultdict(list)
    for day in DailyMetric.objects.filter(impressions__gt=0).order_by("date"):
        numbers = (day.date.toordinal(), *(getattr(day, name) for name in MEASURE_NAMES))
        expected[day.variant_id].append(tuple(map(float, numbers)))
    found = {pk: list(zip(*(of.tolist() for of in own), strict=True)) for pk, own in columns.items()}
    assert {pk: [row for row in rows if row[1]] for pk, rows in found.items()} == expected
    assert [of.dtype.kind for of in columns[experiment.variants.order_by("pk")[0].pk]] == list("iiiiff")


def test_columns_of_measures__no_windows_or_no_rows__are_none() -> None:
    experiment = make_experiment()

    assert columns_of_measures([]) == columns_of_measures([([experiment.pk], dt.date.min, TODAY)]) == {}
