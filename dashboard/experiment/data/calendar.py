"""The calendar of the data tab: which days have data, which are missing or late, and what was odd about them."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from django.db.models import BigIntegerField, CharField, F, TextChoices, Value
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from allocation.engine.analysis.sample_ratio import P_VALUE, sample_ratio
from allocation.sample_ratio import splits_in_force
from allocation.selectors import splits_until
from dashboard.formatting import format_weekday
from experiments.campaign.models import Note
from experiments.models import DailyMetric, Experiment, Status
from experiments.text import format_number

WEEKS = 26
_DAY, _WEEK = dt.timedelta(days=1), dt.timedelta(days=7)


class Kind(TextChoices):
    """Kinds of days; blank days are before the first or after today."""

    DATA = "data", gettext_lazy("Data")
    MISSING = "missing", gettext_lazy("No data")
    LATE = "late", gettext_lazy("Late")
    ODD = "odd", gettext_lazy("Traffic far from the allocation (SRM)")
    BLANK = "blank", ""


@dataclass(frozen=True)
class CalendarDay:
    """One day. ``said`` is all about it in words, for its title and for screen readers."""

    date: dt.date
    kind: Kind
    said: str
    has_note: bool = False

    @property
    def has_data(self) -> bool:
        return self.kind in {Kind.DATA, Kind.ODD}


class Week(NamedTuple):
    """Seven days from Monday on; ``is_new_month`` where one of its days is the first of a month."""

    days: list[CalendarDay]
    is_new_month: bool

    @property
    def month(self) -> str:
        return date_format(self.days[-1].date, "M")


class Calendar(NamedTuple):
    """Weeks, the earliest first. ``page``: how many times WEEKS back it is; ``has_older``: there is data before it."""

    weeks: list[Week]
    page: int
    has_older: bool
    kinds: list[Kind]

    @property
    def newer(self) -> int | None:
        return self.page - 1 or None

    @property
    def older(self) -> int:
        return self.page + 1

    @property
    def first(self) -> dt.date:
        return self.weeks[0].days[0].date

    @property
    def last(self) -> dt.date:
        return self.weeks[-1].days[-1].date

    @property
    def weekdays(self) -> list[str]:
        return [date_format(day.date, "D") for day in self.weeks[0].days]


class Span(NamedTuple):
    """The first and the last day with data."""

    first: dt.date
    last: dt.date


def calendar_of(experiment: Experiment, span: Span | None, today: dt.date, page: int) -> Calendar | None:
    """Lay out a page of WEEKS weeks; None without data. Two queries."""
    if span is None:
        return None
    this_week = max(today, span.last) - _DAY * max(today, span.last).weekday()
    oldest = span.first - _DAY * span.first.weekday()
    page = min(max(page, 0), (this_week - oldest).days // 7 // WEEKS)
    start = this_week - _WEEK * WEEKS * page
    mondays = [start - _WEEK * n for n in reversed(range(WEEKS)) if start - _WEEK * n >= oldest]
    facts = _facts(experiment, mondays[0], start + 6 * _DAY, today)
    weeks = [_week(monday, facts, experiment, span, today) for monday in mondays]
    kinds = {day.kind for week in weeks for day in week.days}
    return Calendar(weeks, page, mondays[0] > oldest, [kind for kind in Kind if kind in kinds and kind.label])


class _Facts(NamedTuple):
    impressions: Mapping[dt.date, int]
    odd: frozenset[dt.date]
    notes: Mapping[dt.date, list[str]]


def _facts(experiment: Experiment, first: dt.date, last: dt.date, today: dt.date) -> _Facts:
    zero, blank = Value(0, BigIntegerField()), Value("", CharField())
    columns, days = ("date", "of", "seen", "said"), (first, last)
    rows = DailyMetric.objects.filter(variant__experiment=experiment, date__range=days).order_by()
    rows = rows.annotate(of=F("variant_id"), seen=F("impressions"), said=blank)
    written = Note.objects.filter(experiment=experiment, date__range=days).order_by()
    written = written.annotate(of=zero, seen=zero, said=F("text"))
    by_day: defaultdict[dt.date, dict[int, int]] = defaultdict(dict)
    notes: defaultdict[dt.date, list[str]] = defaultdict(list)
    both = rows.values_list(*columns).union(written.values_list(*columns), all=True)
    for date, variant, impressions, text in both:
        if text:
            notes[date].append(text)
        else:
            by_day[date][variant] = impressions
    totals = {date: sum(of_day.values()) for date, of_day in by_day.items()}
    return _Facts(totals, _odd_days(experiment, by_day, today), notes)


def _odd_days(
    experiment: Experiment, by_day: Mapping[dt.date, Mapping[int, int]], today: dt.date
) -> frozenset[dt.date]:
    """Find the days whose traffic is far from the split in force; one false alarm in a thousand pages."""
    variants = [variant.pk for variant in experiment.variants.all()]
    days = sorted(by_day)
    in_force = splits_in_force(splits_until([experiment.pk], today)[experiment.pk], days)
    compared = [(day, shares) for day, shares in zip(days, in_force, strict=True) if shares]
    return frozenset(
        day for day, shares in compared if _is_odd(by_day[day], shares, variants, P_VALUE / len(compared))
    )


def _is_odd(
    observed: Mapping[int, int], shares: Mapping[int, float], variants: Sequence[int], least: float
) -> bool:
    impressions = np.array([[float(observed.get(pk, 0)) for pk in variants]])
    found = sample_ratio(impressions, np.array([[shares.get(pk, 0.0) for pk in variants]]))
    return found is not None and found.mismatch and found.p_value < least


def _week(monday: dt.date, facts: _Facts, experiment: Experiment, span: Span, today: dt.date) -> Week:
    days = [_day(monday + _DAY * n, facts, experiment, span, today) for n in range(7)]
    return Week(days, any(day.date.day == 1 for day in days))


def _day(date: dt.date, facts: _Facts, experiment: Experiment, span: Span, today: dt.date) -> CalendarDay:
    kind, notes = _kind(date, facts, experiment, span, today), facts.notes.get(date, [])
    said = [str(kind.label)]
    if date in facts.impressions:
        impressions = format_number(facts.impressions[date], 0)
        counted = _("%(impressions)s impressions") % {"impressions": impressions}
        said = [counted, *([str(kind.label)] if kind is Kind.ODD else [])]
    said += [_("note: %(text)s") % {"text": text} for text in notes]
    return CalendarDay(date, kind, f"{format_weekday(date)}: {'; '.join(filter(None, said))}", bool(notes))


def _kind(date: dt.date, facts: _Facts, experiment: Experiment, span: Span, today: dt.date) -> Kind:
    if date in facts.impressions:
        return Kind.ODD if date in facts.odd else Kind.DATA
    if span.first < date < span.last:
        return Kind.MISSING
    is_due = span.last < date < today and experiment.status == Status.ACTIVE
    return Kind.LATE if is_due else Kind.BLANK
