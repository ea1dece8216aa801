"""Days of moments, such as 2025-08-14T14:03:00+02:00."""

import datetime as dt
import re
from collections.abc import Sequence

from experiments.tables.importing.plain_rows import Meanings
from experiments.tables.reading.dates import Parts, local_moment
from experiments.text import parse_date

# Moments, each on a line: the day and the hour, and the distance from UTC.
_MOMENTS = re.compile(
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
    r" ?(Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)?$",
    re.MULTILINE,
)
# With fewer moments in each hour to read hours saves nothing.
_FEWEST_IN_AN_HOUR = 4


class Moments:
    """A column of days or moments: each hour that many moments are in is read once.

    ``means`` reads what is not so.
    """

    def __init__(self, means: Meanings[dt.date]) -> None:
        self._means = means
        self._hours = Meanings[dt.date](_day_of_hour)

    @property
    def has_gaps(self) -> bool:
        return self._means.has_gaps

    def of(self, cells: Sequence[str]) -> Sequence[dt.date | None]:
        text = "\n".join(cells)
        hours = _MOMENTS.findall(text)
        # a cell may have line ends of its own
        are_all = len(hours) == len(cells) == text.count("\n") + 1
        if not are_all or len(set(hours)) * _FEWEST_IN_AN_HOUR > len(hours):
            return self._means.of(cells)
        days = self._hours.of(hours)
        return [day or self._means[cell] for cell, day in zip(cells, days, strict=True)]


def _day_of_hour(hour: tuple[str, str, str]) -> dt.date | None:
    """Return the day that a whole hour is in; None where it is not in one, or may not be, as clocks change."""
    date, number, zone = hour
    if (day := parse_date(date)) is None:
        return None
    ends = (Parts(date, f"{number}:{rest}", zone) for rest in ("00:00", "59:59.999999"))
    first, last = (local_moment(day, end) for end in ends)
    if first is None or last is None or first.utcoffset() != last.utcoffset() or first.date() != last.date():
        return None
    return first.date()
