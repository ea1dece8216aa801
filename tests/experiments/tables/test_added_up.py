"""Rows of one place that are added up while a file is written."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.exceptions import InvalidError
from experiments.metrics import DailyCounts
from experiments.tables.importing.row_kinds import CsvRow
from experiments.tables.importing.writer import added_up

pytestmark = pytest.mark.database_free


def _row(line: int, day: int, impressions: int) -> CsvRow:
    return CsvRow(line, "", DailyCounts(dt.date(2025, 8, day), "control", impressions, 0, 0))


def _day(row: CsvRow) -> int:
    return row.counts.date.day


def test_added_up__place_is_complete__is_passed_on_before_the_file_ends() -> None:
    read: list[int] = []

    def rows() -> Iterator[CsvRow]:
        for line, day in enumerate([1, 1, 2, 2, 3]):
            read.append(line)
            yield _row(line, day, 10)

    first = next(added_up(rows(), _day, {1: 2, 2: 2, 3: 1}))

    assert (first.counts.impressions, first.rows, first.line) == (20, 2, 0)
    assert read == [0, 1]


def test_added_up__row_was_refused_later__the_others_come_at_the_end() -> None:
    found = list(added_up([_row(2, 1, 10), _row(3, 2, 5)], _day, {1: 2, 2: 1}))

    assert [(row.line, row.counts.impressions) for row in found] == [(3, 5), (2, 10)]


def test_added_up__more_rows_than_were_checked__is_refused_before_a_day_is_overwritten() -> None:
    with pytest.raises(InvalidError, match="changed while it was read"):
        list(added_up([_row(2, 1, 10), _row(3, 1, 10), _row(4, 1, 10)], _day, {1: 2}))


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 99)), max_size=20))
def test_added_up__any_order__is_the_sum_of_each_place_once(given_rows: list[tuple[int, int]]) -> None:
    rows = [_row(line, day, number) for line, (day, number) in enumerate(given_rows)]
    counted = Counter(day for day, _number in given_rows)
    several = {day: count for day, count in counted.items() if count > 1}

    found = list(added_up(rows, lambda row: _day(row) if _day(row) in several else None, several))

    expected = Counter[int]()
    for day, number in given_rows:
        expected[day] += number
    assert sorted(_day(row) for row in found) == sorted(counted)
    assert {_day(row): row.counts.impressions for row in found} == dict(expected)
    assert sum(row.rows for row in found) == len(rows)
