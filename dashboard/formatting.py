"""Dates in the one form of all pages, short and never mistaken for another."""

import datetime as dt

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
    """Write 4 Sep 2026, 14:05, in the installation's time zone."""
    return date_format(timezone.localtime(moment), _("j M Y, H:i"))
