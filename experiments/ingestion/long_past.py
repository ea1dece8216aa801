"""Days long past: an experiment takes a bounded number of them.

A report reads every day since the start, so that a history of a million rows would keep a worker busy for a minute.
Lately nothing needs a bound: an experiment has at most 100 variants, and each has a row a day.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from experiments.exceptions import Issue
from experiments.ingestion.upsert import PlacedCounts
from experiments.metrics import DailyCounts
from experiments.models import DailyMetric

_LATELY = dt.timedelta(days=1000)
# A row is a variant's day: 10 variants for 27 years, 100 for the 1,000 days that count as lately.
MOST_ROWS = 100_000


def long_past_issues(rows: Sequence[PlacedCounts], today: dt.date) -> list[tuple[int, Issue]]:
    """Find the rows of days long past by which their experiment would have too many; no query where there are none."""
    limit = today - _LATELY
    if min(counts.date for _pk, counts in rows) >= limit:
        return []
    old = [(index, pk, counts) for index, (pk, counts) in enumerate(rows) if counts.date < limit]
    held = {pk: _rows_of(pk).count() for pk in {pk for _index, pk, _counts in old}}
    added = _added(old, held)
    more = Counter(pk for _index, pk in added)
    message = _(
        "the experiment would have more than %(most)s rows, and this day is more than %(days)s days past: "
        "leave out days so long past, or record them as an experiment of their own"
    ) % {"most": f"{MOST_ROWS:,}", "days": f"{_LATELY.days:,}"}
    issue = Issue("date", "too_many_days", message)
    return [(index, issue) for index, pk in added if held[pk] + more[pk] > MOST_ROWS]


def _added(old: Sequence[tuple[int, int, DailyCounts]], held: Mapping[int, int]) -> list[tuple[int, int]]:
    """List the rows that are new, by index and experiment, of those experiments that may not have room for them."""
    given = Counter(pk for _index, pk, _counts in old)
    dates = {counts.date for _index, _pk, counts in old}
    known = {pk: _places_of(pk, dates) for pk, number in given.items() if held[pk] + number > MOST_ROWS}
    return [
        (index, pk)
        for index, pk, counts in old
        if pk in known and (counts.variant_name, counts.date) not in known[pk]
    ]


def _places_of(experiment_id: int, dates: set[dt.date]) -> set[tuple[str, dt.date]]:
    """Read the variants' days that have a row: another value for one makes none more. Names and keys both name one."""
    found = _rows_of(experiment_id).filter(date__in=dates)
    rows = found.values_list("variant__name", "variant__key", "date")
    return {(word, date) for name, key, date in rows for word in (name, key)}


def _rows_of(experiment_id: int) -> QuerySet[DailyMetric]:
    return DailyMetric.objects.filter(variant__experiment_id=experiment_id)
