"""Dates in the one form of all pages, short and never mistaken for another; times with their zone.

A day of the data is a day in the installation's TIME_ZONE, whoever looks. A moment is shown in the reader's own zone,
which is therefore not made Django's current one: "today" must not depend on the reader.
"""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _


def format_date(date: dt.date) -> str:
    """Write 4 Sep 2026."""
    return date_format(date, _("j M Y"))


def format_weekday(date: dt.date) -> str:
    """Write Fri, 4 Sep 2026: swings go by the day of the week."""
    return date_format(date, _("D, j M Y"))


def format_moment(moment: dt.datetime) -> str:
    """Write 4 Sep 2026, 14:05 UTC, in the reader's time zone."""
    local = timezone.localtime(moment, _reader_zone.get())
    text = date_format(local, _("j M Y, H:i"))
    return f"{text} {zone_name(local)}"


def zone_name(local: dt.datetime) -> str:
    """Write the zone of a moment: UTC, CET, or UTC-3 where it has no letters of its own."""
    name = local.tzname() or ""
    if name[:1] not in "+-":
        return name
    hours, minutes = name[1:3].lstrip("0") or "0", name[3:5]
    return f"UTC{name[0]}{hours}{f':{minutes}' if minutes not in ('', '00') else ''}"


_reader_zone: ContextVar[ZoneInfo | None] = ContextVar("reader_zone", default=None)


@contextmanager
def shown_in(zone: str) -> Iterator[None]:
    """Show moments in this zone; blank for the installation's."""
    token = _reader_zone.set(ZoneInfo(zone) if zone else None)
    try:
        yield
    finally:
        _reader_zone.reset(token)
