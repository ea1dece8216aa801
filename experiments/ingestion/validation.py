"""Checks of one day's counts and values of one variant, for every way they come in."""

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from operator import ge, le
from typing import Any, cast

from django.utils.translation import gettext as _

from experiments.exceptions import Issue
from experiments.metrics import (
    COUNT_NAMES,
    COUNTS,
    HIGHEST_COUNT,
    HIGHEST_SQUARES,
    HIGHEST_VALUE,
    MEASURES,
    NO_VALUE,
    VALUE_NAMES,
    VALUE_PLACES,
    DailyCounts,
    DayTotals,
    Kind,
    are_nested,
    columns_of,
    fewest_squares,
    is_nested,
    most_squares,
    nesting_problems,
)
from experiments.text import written_day

EARLIEST_DATE = dt.date(2000, 1, 1)
_ONE_DAY = dt.timedelta(days=1)
_FIRST_VALUE = len(DailyCounts._fields) - len(VALUE_NAMES)
_TOO_LARGE = "too_large"
_FIRST_COUNT = _FIRST_VALUE - len(COUNTS)


def years_of_dates(today: dt.date) -> range:
    """Return the years that a row's date may be in."""
    return range(EARLIEST_DATE.year, (today + _ONE_DAY).year + 1)


def count_issues(row: DailyCounts, today: dt.date) -> list[Issue]:
    """Return the problems of a row by itself; ``today`` is in the installation's time zone."""
    issues = total_issues(row)
    if not EARLIEST_DATE <= row.date <= today + _ONE_DAY:
        issues.append(_date_issue(row.date, today))
    return issues


def has_plain_issue(row: DailyCounts, today: dt.date) -> bool:
    """Tell, at little cost, if the date of a row or the nesting of its counts is one that count_issues refuses."""
    return not (EARLIEST_DATE <= row.date <= today + _ONE_DAY and is_nested(row))


def have_no_issues(rows: Sequence[DailyCounts], today: dt.date) -> bool:
    """Tell of many rows at once that count_issues finds nothing in any; False: look at each."""
    columns = columns_of(rows)
    counts = [getattr(columns, name) for name in COUNT_NAMES]
    return (
        min(columns.date) >= EARLIEST_DATE
        and max(columns.date) <= today + _ONE_DAY
        and all(min(column) >= 0 and max(column) <= HIGHEST_COUNT for column in counts)
        and are_nested(columns)
        and _have_no_value_issues(columns)
    )


def _have_no_value_issues(columns: Any) -> bool:
    """Tell of rows whose counts are right that none has values, or that all have values which are right, too."""
    sums, squares = columns.value_sum, columns.value_squares
    if not (any(sums) or any(squares)):
        return True
    return (
        None not in sums
        and None not in squares
        and min(sums) >= 0
        and max(sums) <= HIGHEST_VALUE
        and not may_have_more_places(sums)
        # false for NaN too
        and all(map(_is_sum_of_squares, squares))
        and all(map(ge, squares, map(fewest_squares, sums, columns.conversions)))
        and all(map(le, squares, map(most_squares, sums)))
    )


def _is_amount(value: Decimal) -> bool:
    return 0 <= value <= HIGHEST_VALUE and not has_more_places(value)


def _is_sum_of_squares(value: float) -> bool:
    return 0 <= value <= HIGHEST_SQUARES


def increment_issues(row: DailyCounts, today: dt.date) -> list[Issue]:
    """Return the problems of what is added to a day: the day's total must nest, not each addition to it."""
    issues = list(_range_issues(row))
    if not EARLIEST_DATE <= row.date <= today + _ONE_DAY:
        issues.append(_date_issue(row.date, today))
    return issues


def increased_issues(row: DailyCounts, before: DayTotals) -> list[Issue]:
    """Return the problems of a day's numbers that were added to those ``before``.

    Squares that earlier versions took do not hold up what comes in all day: no addition can correct them.
    """
    issues = total_issues(row)
    if not _has_too_large_squares(before):
        return issues
    return [issue for issue in issues if issue.code != _TOO_LARGE]


def total_issues(row: DailyCounts) -> list[Issue]:
    """Return the problems of a day's numbers, whatever the day."""
    counts = cast(tuple[int, ...], row[_FIRST_COUNT:_FIRST_VALUE])
    if min(counts) < 0 or max(counts) > HIGHEST_COUNT:
        return list(_range_issues(row))
    issues = [Issue(field, "too_many", message) for field, message in nesting_problems(row)]
    if row.value_squares or row.value_sum:
        totals = row.totals
        issues += (() if _are_in_range(totals) else list(_range_issues(row))) or _value_issues(totals)
    return issues


def _are_in_range(row: DayTotals) -> bool:
    """Tell at once of values, beside counts that are in range, that _range_issues finds nothing."""
    return _is_sum_of_squares(row.value_squares) and _is_amount(row.value_sum)


def _value_issues(row: DayTotals) -> list[Issue]:
    if _has_too_large_squares(row):
        return [_too_large(row)]
    if row.value_squares >= fewest_squares(row.value_sum, row.conversions):
        return []
    values = {"squares": row.value_squares, "sum": row.value_sum, "conversions": row.conversions}
    if not row.value_squares:
        message = _(
            "the sum of squared values is needed beside the value (%(sum)s): square each single value, then add the "
            "squares up (for 12.5 and 30 it is 1056.25)"
        )
        return [Issue("value_squares", "required", message % values)]
    message = _(
        "the sum of squared values (%(squares)s) is too small: %(conversions)s values that add up to %(sum)s have "
        "squares that add up to more. Square each single value, then add the squares up"
    )
    return [Issue("value_squares", "too_small", message % values)]


def _has_too_large_squares(row: DayTotals) -> bool:
    """Tell of squares that no values of their sum have."""
    return row.value_squares > most_squares(row.value_sum)


def _too_large(row: DayTotals) -> Issue:
    """Refuse squares that no values of this sum have, such as squares of cents beside a sum of euros."""
    message = _(
        "the sum of squared values (%(squares)s) is too large: values that add up to %(sum)s have squares that add up "
        "to %(most)s at most. Square each single value, in the unit of the sum, then add the squares up"
    )
    most = float(row.value_sum) ** 2
    values = {"squares": f"{row.value_squares:.15g}", "sum": row.value_sum, "most": f"{most:.15g}"}
    return Issue("value_squares", _TOO_LARGE, message % values)


def _date_issue(date: dt.date, today: dt.date) -> Issue:
    """Name the problem of a date. Tomorrow is allowed: somewhere it has begun."""
    if date < EARLIEST_DATE:
        message = _("%(date)s is before %(earliest)s; check its year") % {
            "date": written_day(date),
            "earliest": written_day(EARLIEST_DATE),
        }
        return Issue("date", "too_early", message)
    message = _("%(date)s lies in the future; today is %(today)s: check the date, or wait for the day") % {
        "date": written_day(date),
        "today": written_day(today),
    }
    return Issue("date", "in_future", message)


def _range_issues(row: DailyCounts) -> Iterator[Issue]:
    totals = row.totals
    for measure in MEASURES:
        value = getattr(totals, measure.name)
        # false for NaN too
        if not 0 <= value <= measure.highest:
            message = (
                _(
                    "%(field)s must be from 0 to %(highest)s, not %(value)s: give what is left of the day's total"
                )
                if value < 0
                else _(
                    "%(field)s must be from 0 to %(highest)s, not %(value)s: check its digits and separators"
                )
            )
            said = message % {"field": measure.unit, "highest": measure.highest, "value": value}
            yield Issue(measure.name, "out_of_range", said)
        elif measure.kind is Kind.AMOUNT and has_more_places(totals.value_sum):
            message = _("%(field)s (%(value)s) must have at most %(places)s decimal places; round it")
            said = message % {"field": measure.unit, "value": value, "places": VALUE_PLACES}
            yield Issue(measure.name, "too_precise", said)


def may_have_more_places(values: Sequence[Decimal]) -> bool:
    """Tell of amounts in range that one may have digits beyond VALUE_PLACES: their sum has the digits of each."""
    exponent = sum(values, NO_VALUE).as_tuple().exponent
    return not (isinstance(exponent, int) and exponent >= -VALUE_PLACES)


def has_more_places(value: Decimal) -> bool:
    """Tell if an amount in range has digits beyond VALUE_PLACES."""
    exponent = value.as_tuple().exponent
    return not (isinstance(exponent, int) and exponent >= -VALUE_PLACES) and value != round(
        value, VALUE_PLACES
    )
