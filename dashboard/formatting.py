"""Dates and rates in the one form of all pages. Charts follow the same rules (static/js/numbers.js)."""

import datetime as dt
import math
from collections.abc import Sequence
from decimal import Decimal

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from experiments.text import format_percent


def format_date(date: dt.date) -> str:
    """Write 4 Sep 2026."""
    return date_format(date, _("j M Y"))


def format_weekday(date: dt.date) -> str:
    """Write Fri, 4 Sep 2026: swings go by the day of the week."""
    return date_format(date, _("D, j M Y"))


def format_moment(moment: dt.datetime) -> str:
    """Write 4 Sep 2026, 14:05, in the installation's time zone."""
    return date_format(timezone.localtime(moment), _("j M Y, H:i"))


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
