"""Days of moments, such as 2025-08-14T14:03:00+02:00."""

import datetime as dt
import re
from collections.abc import Sequence

from django.utils import timezone

from experiments.tables.importing.plain_rows import Meanings
from experiments.text import parse_date

_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)"
    r" ?(Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
# Moments, each on a line: the day and the hour, and the distance from UTC.
_MOMENTS = re.compile(
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
    r" ?(Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)?$",
    re.MULTILINE,
)
# With fewer moments in each hour to read hours saves nothing.
_FEWEST_IN_AN_HOUR = 4


def day_of_moment(text: str) -> dt.date | None:
    """Read a day, or a moment such as 2025-08-14 14:03 or 2025-08-14T14:03:00+02:00.

    A moment with its distance from UTC belongs to the day that it was in TIME_ZONE; one without was written there.
    """
    if (day := parse_date(text)) is not None:
        return day
    if (found := _MOMENT.fullmatch(text)) is None:
        return None
    moment = _local(*found.groups(""))
    return moment and moment.date()


def _local(date: str, time: str, zone: str) -> dt.datetime | None:
    """Read a moment, in TIME_ZONE where it has its distance from UTC."""
    try:
        moment = dt.datetime.fromisoformat(f"{date}T{time}{'Z' if zone == 'UTC' else zone}")
        return moment.astimezone(timezone.get_default_timezone()) if moment.tzinfo else moment
    except (
        ValueError,
        OverflowError,
    ):  # OverflowError: a day before the first of the calendar, or after its last
        return None


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
    first, last = (_local(date, f"{number}:{rest}", zone) for rest in ("00:00", "59:59.999999"))
    if first is None or last is None or first.utcoffset() != last.utcoffset() or first.date() != last.date():
        return None
    return first.date()
