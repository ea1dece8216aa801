"""When software last called: what keys and daily rows remember anyway, so that no call pays for it."""

import datetime as dt
from dataclasses import dataclass

from django.db.models import Max, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from bandit_project.administration.keys import list_keys
from experiments.models import DailyMetric, Experiment
from experiments.text import format_number

_MINUTE = 60
_STEPS = ((24 * 60 * _MINUTE, "days"), (60 * _MINUTE, "hours"), (_MINUTE, "minutes"))


@dataclass(frozen=True)
class UsedKey:
    """A key that is valid, and how long ago it was used, to the minute; empty where it never was."""

    name: str
    scope: str
    ago: str


@dataclass(frozen=True)
class LastCalls:
    """``data``: how long ago data of this experiment was written. Keys are valid for every experiment."""

    data: str
    keys: list[UsedKey]


_MOST_KEYS = 5


def last_calls(experiment: Experiment, now: dt.datetime) -> LastCalls:
    """Read both; two queries."""
    written = _rows(experiment).aggregate(at=Max("updated_at"))["at"]
    valid = [key for key in list_keys() if not key.revoked and not key.has_expired]
    valid.sort(key=lambda key: key.last_used_at.timestamp() if key.last_used_at else 0.0, reverse=True)
    keys = [
        UsedKey(key.name, key.get_scope_display(), ago(key.last_used_at, now)) for key in valid[:_MOST_KEYS]
    ]
    return LastCalls(ago(written, now), keys)


def _rows(experiment: Experiment) -> "QuerySet[DailyMetric]":
    return DailyMetric.objects.filter(variant__in=[variant.pk for variant in experiment.variants.all()])


def ago(moment: dt.datetime | None, now: dt.datetime) -> str:
    """Say how long ago a moment was; empty for none."""
    if moment is None:
        return ""
    seconds = max((now - moment).total_seconds(), 0.0)
    for length, unit in _STEPS:
        if seconds >= length:
            return _said(unit, int(seconds // length))
    return _("less than a minute ago")


def _said(unit: str, number: int) -> str:
    texts = {
        "days": ngettext("%(n)s day ago", "%(n)s days ago", number),
        "hours": ngettext("%(n)s hour ago", "%(n)s hours ago", number),
        "minutes": ngettext("%(n)s minute ago", "%(n)s minutes ago", number),
    }
    return texts[unit] % {"n": format_number(number, 0)}
