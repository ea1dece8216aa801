"""Checks of one day's counts of one variant, for every way they come in."""

import datetime as dt
from collections.abc import Iterator

from django.utils.translation import gettext as _

from experiments.exceptions import Issue
from experiments.metrics import COUNTS, HIGHEST_COUNT, Counts, DailyCounts, nesting_problems

EARLIEST_DATE = dt.date(2000, 1, 1)
_ONE_DAY = dt.timedelta(days=1)


def count_issues(row: DailyCounts, today: dt.date) -> list[Issue]:
    """Return the problems of a row by itself; ``today`` is in the installation's time zone."""
    _date, _name, *counts = row
    if min(counts) >= 0 and max(counts) <= HIGHEST_COUNT:
        issues = [Issue(field, "too_many", message) for field, message in nesting_problems(row)]
    else:
        issues = list(_range_issues(row.counts))
    if not EARLIEST_DATE <= row.date <= today + _ONE_DAY:
        issues.append(_date_issue(row.date, today))
    return issues


def _date_issue(date: dt.date, today: dt.date) -> Issue:
    """Name the problem of a date. Tomorrow is allowed: somewhere it has begun."""
    if date < EARLIEST_DATE:
        message = _("%(date)s is before %(earliest)s") % {"date": date, "earliest": EARLIEST_DATE}
        return Issue("date", "too_early", message)
    message = _("%(date)s lies in the future; today is %(today)s") % {"date": date, "today": today}
    return Issue("date", "in_future", message)


def _range_issues(counts: Counts[int]) -> Iterator[Issue]:
    for count, value in zip(COUNTS, counts, strict=True):
        if not 0 <= value <= HIGHEST_COUNT:
            message = _("%(field)s must be from 0 to %(highest)s, not %(value)s")
            said = message % {"field": count.unit, "highest": HIGHEST_COUNT, "value": value}
            yield Issue(count.name, "out_of_range", said)
