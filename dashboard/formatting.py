"""Dates as pages write them: one spelling everywhere, short and never mistaken for another."""

import datetime as dt

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _


def format_date(date: dt.date) -> str:
    """4 Sep 2026."""
    return date_format(date, _("j M Y"))


def weekday_words(date: dt.date) -> str:
    """With the day of the week, which swings go by: Fri, 4 Sep 2026."""
    return date_format(date, _("D, j M Y"))


def moment_words(moment: dt.datetime) -> str:
    """4 Sep 2026, 14:05, in the installation's time zone."""
    return date_format(timezone.localtime(moment), _("j M Y, H:i"))
