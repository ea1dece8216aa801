"""Dates, times and rates in the one form of all pages. Charts follow the same rules (static/js/numbers.js).

A day of the data is a day in the installation's TIME_ZONE, for every reader. A moment is shown in the reader's own
zone, which is therefore not made Django's current one: "today" must not depend on the reader.
"""

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from experiments.text import format_percent


def format_date(date: dt.date) -> str:
    """Write 4 Sep 2026."""
    return _written(date, _("j M Y"), get_language())


def format_weekday(date: dt.date) -> str:
    """Write Fri, 4 Sep 2026: swings go by the day of the week."""
    return _written(date, _("D, j M Y"), get_language())


@lru_cache(maxsize=1000)
def _written(date: dt.date, form: str, language: str) -> str:
    """Write a day in the current language; a page names few days, each of them many times."""
    return date_format(date, form)


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


# Beyond these digits a percentage only shows the noise of floats.
_MOST_DECIMALS = 12
_RATE_DECIMALS = 2


def decimals_of(percent: float, least: int = _RATE_DECIMALS) -> int:
    """Count the decimals that show two significant digits of a percentage, ``least`` or more of them."""
    if not percent or not math.isfinite(percent):
        return least
    return min(max(least, 1 - math.floor(math.log10(abs(percent)))), _MOST_DECIMALS)


def decimals_apart(low: float, high: float) -> int:
    """Count the decimals that tell two percentages apart."""
    return max(decimals_of(high - low, 0) - 1, 0) if high != low else 0


def format_rate(fraction: float) -> str:
    """Write a rate as percent: two decimals, or more where it is tiny."""
    return format_percent(fraction, decimals_of(100 * float(fraction)))


def format_rates(low: float, high: float) -> tuple[str, str]:
    """Write the ends of an interval, each as a rate, with as many decimals as tell them apart."""
    apart = decimals_apart(100 * float(low), 100 * float(high))
    ends = [(float(end), max(decimals_of(100 * float(end)), apart)) for end in (low, high)]
    return format_percent(*ends[0]), format_percent(*ends[1])


def format_lift(fraction: float, decimals: int = 1) -> str:
    """Write a lift with its sign; far beyond a doubling decimals are noise."""
    text = format_percent(abs(fraction), decimals if abs(fraction) < 10 else 0)
    if not any(digit in "123456789" for digit in text):
        return text
    return f"+{text}" if fraction > 0 else f"−{text}"


def format_lifts(low: float, high: float) -> tuple[str, str]:
    """Write the ends of an interval of a lift with as many decimals as tell them apart."""
    if max(abs(low), abs(high)) >= 10:
        return format_lift(low), format_lift(high)
    decimals = max(1, decimals_apart(100 * low, 100 * high))
    return format_lift(low, decimals), format_lift(high, decimals)


def format_shares(shares: Sequence[Decimal | float]) -> list[str]:
    """Write parts of the traffic so that what is printed adds up as they do: by the largest remainder.

    Above 20 parts two decimals, so that small ones do not vanish.
    """
    decimals = 1 if len(shares) <= 20 else 2
    ticks = [Decimal(str(share)) * 100 * 10**decimals for share in shares]
    whole = [int(tick) for tick in ticks]
    left = round(sum(ticks)) - sum(whole)
    by_remainder = sorted(range(len(ticks)), key=lambda n: (whole[n] - ticks[n], n))
    for n in by_remainder[: max(left, 0)]:
        whole[n] += 1
    return [format_percent(Decimal(n).scaleb(-decimals - 2), decimals) for n in whole]
