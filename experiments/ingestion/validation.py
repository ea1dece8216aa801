"""Checks of one day's counts of one variant."""

import datetime as dt
from collections.abc import Iterator

from django.utils.translation import gettext as _

from experiments.exceptions import Issue
from experiments.metrics import COUNTS, HIGHEST_COUNT, DailyCounts, nesting_problems

EARLIEST_DATE = dt.date(2000, 1, 1)


def count_issues(row: DailyCounts, today: dt.date) -> Iterator[Issue]:
    """What is wrong with a row by itself; ``today`` is in the installation's time zone."""
    yield from list(_range_issues(row)) or _nesting_issues(row)
    yield from date_issues(row.date, today)


def _nesting_issues(row: DailyCounts) -> Iterator[Issue]:
    for field, message in nesting_problems(row):
        yield Issue(field, "too_many", message)


def date_issues(date: dt.date, today: dt.date) -> Iterator[Issue]:
    """Tomorrow passes: somewhere it has begun already."""
    if date > today + dt.timedelta(days=1):
        message = _("%(date)s lies in the future; today is %(today)s") % {"date": date, "today": today}
        yield Issue("date", "in_future", message)
    if date < EARLIEST_DATE:
        message = _("%(date)s is before %(earliest)s") % {"date": date, "earliest": EARLIEST_DATE}
        yield Issue("date", "too_early", message)


def _range_issues(row: DailyCounts) -> Iterator[Issue]:
    for count in COUNTS:
        value = getattr(row, count.name)
        if not 0 <= value <= HIGHEST_COUNT:
            message = _("%(field)s must be from 0 to %(highest)s, not %(value)s")
            said = message % {"field": count.unit, "highest": HIGHEST_COUNT, "value": value}
            yield Issue(count.name, "out_of_range", said)
