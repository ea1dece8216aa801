"""Checks of many rows at once find what checks of each row find."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.ingestion.validation import count_issues, have_no_issues
from experiments.metrics import HIGHEST_COUNT, DailyCounts, columns_of, every_goal_takes, some_goal_refuses
from tests.factory import TODAY, counts

pytestmark = pytest.mark.database_free

_COUNTS = st.integers(-1, 3) | st.sampled_from([HIGHEST_COUNT, HIGHEST_COUNT + 1])
_DATES = st.sampled_from(
    [TODAY, dt.date(2000, 1, 1), dt.date(1999, 12, 31), *(TODAY + dt.timedelta(days=n) for n in (1, 2))]
)
_ROWS = st.builds(DailyCounts, _DATES, st.just("a"), _COUNTS, _COUNTS, _COUNTS, st.none(), st.none())


@settings(max_examples=300, deadline=None)
@given(st.lists(_ROWS, min_size=1, max_size=3))
def test_have_no_issues__rows_without_values__says_what_each_row_says(rows: list[DailyCounts]) -> None:
    assert have_no_issues(rows, TODAY) == (not any(count_issues(row, TODAY) for row in rows))


_AMOUNTS = st.sampled_from(
    [
        Decimal(text)
        for text in ("0", "-1", "2.5", "0.00000", "0.00001", "0.00009", "10.00010", "1e15", "1e16")
    ]
)
_SQUARES = st.sampled_from([0.0, -1.0, 6.25, 100.0, 1e30, 1e31, float("nan")])
_VALUED = st.builds(
    DailyCounts, st.just(TODAY), st.just("a"), st.just(9), st.just(2), st.integers(0, 3), _AMOUNTS, _SQUARES
)


@settings(max_examples=500, deadline=None)
@given(st.lists(_VALUED, min_size=1, max_size=3))
def test_have_no_issues__rows_with_values__finds_none_where_no_row_has_any(rows: list[DailyCounts]) -> None:
    has_issues = any(count_issues(row, TODAY) for row in rows)

    assert not (have_no_issues(rows, TODAY) and has_issues)
    # beyond the places that a value may have, or with zeros there, each is looked at by itself
    if all(int(row.value_sum.as_tuple().exponent) >= -4 for row in rows if row.value_sum is not None):
        assert have_no_issues(rows, TODAY) == (not has_issues)


def test_have_no_issues__a_value_among_them__leaves_it_to_the_look_at_each() -> None:
    sold = counts("a", 10, 1, 1)._replace(value_sum=Decimal(5), value_squares=25.0)

    assert count_issues(sold, TODAY) == []
    assert not have_no_issues([counts("b", 10, 1), sold], TODAY)


@settings(max_examples=200, deadline=None)
@given(st.lists(_ROWS, min_size=1, max_size=3))
def test_every_goal_takes__any_rows__says_what_each_row_says(rows: list[DailyCounts]) -> None:
    assert every_goal_takes(columns_of(rows)) == (not any(map(some_goal_refuses, rows)))
