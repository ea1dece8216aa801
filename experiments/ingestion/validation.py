"""One day's counts of one variant, and what makes them impossible."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from experiments.exceptions import Issue
from experiments.models import HIGHEST_COUNT

EARLIEST_DATE = dt.date(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class DailyCounts:
    """A row as it arrives: the variant by its name (or key), and the day's totals."""

    date: dt.date
    variant_name: str
    impressions: int
    clicks: int
    conversions: int = 0


def count_issues(row: DailyCounts, today: dt.date) -> Iterator[Issue]:
    """What is wrong with a row by itself; ``today`` is in the installation's time zone."""
    yield from list(_range_issues(row)) or _nesting_issues(row)
    yield from date_issues(row.date, today)


def _nesting_issues(row: DailyCounts) -> Iterator[Issue]:
    if row.clicks > row.impressions:
        message = _("clicks (%(clicks)s) must not exceed impressions (%(impressions)s)")
        said = message % {"clicks": row.clicks, "impressions": row.impressions}
        yield Issue("clicks", "too_many", said)
    if row.conversions > row.clicks:
        message = _("conversions (%(conversions)s) must not exceed clicks (%(clicks)s)")
        said = message % {"conversions": row.conversions, "clicks": row.clicks}
        yield Issue("conversions", "too_many", said)


def date_issues(date: dt.date, today: dt.date) -> Iterator[Issue]:
    """Tomorrow passes: somewhere it has begun already."""
    if date > today + dt.timedelta(days=1):
        message = _("%(date)s lies in the future; today is %(today)s") % {"date": date, "today": today}
        yield Issue("date", "in_future", message)
    if date < EARLIEST_DATE:
        message = _("%(date)s is before %(earliest)s") % {"date": date, "earliest": EARLIEST_DATE}
        yield Issue("date", "too_early", message)


def _range_issues(row: DailyCounts) -> Iterator[Issue]:
    for field in ("impressions", "clicks", "conversions"):
        value = getattr(row, field)
        if not 0 <= value <= HIGHEST_COUNT:
            message = _("%(field)s must be from 0 to %(highest)s, not %(value)s")
            # the names of the counts are words of the pages too
            said = message % {"field": _(field), "highest": HIGHEST_COUNT, "value": value}
            yield Issue(field, "out_of_range", said)
