"""Daily rows to read and to edit: days, newest first, each with its variants."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Q, Sum

from dashboard.charts import variant_colours
from dashboard.experiment.data.calendar import Span
from dashboard.experiment.data.filters import DataFilter
from experiments.metrics import MEASURE_NAMES, NO_TOTALS, DayTotals, Measure, Number, Reward
from experiments.models import DailyMetric, Experiment, Variant

DAYS_PER_PAGE = 14
# With many variants a page holds fewer days, so that it stays readable.
_ROWS_PER_PAGE = 60
_EVERYTHING = DataFilter()


@dataclass(frozen=True)
class DailyLine:
    variant: Variant
    colour: str
    totals: DayTotals
    rate: float | None
    measures: Sequence[Measure]

    @property
    def cells(self) -> list[tuple[Measure, Number]]:
        """List each number with the measure of its column."""
        return [(measure, getattr(self.totals, measure.name)) for measure in self.measures]


@dataclass(frozen=True)
class Day:
    date: dt.date
    lines: list[DailyLine]

    @property
    def impressions(self) -> int:
        return sum(line.totals.impressions for line in self.lines)


@dataclass(frozen=True)
class History:
    """Sums of each day, newest first: all days, and those that the filter keeps."""

    days: dict[dt.date, DayTotals]
    kept: dict[dt.date, DayTotals]

    @property
    def has_values(self) -> bool:
        return any(totals.value_sum or totals.value_squares for totals in self.days.values())

    @property
    def span(self) -> Span | None:
        return Span(min(self.days), max(self.days)) if self.days else None

    @property
    def totals(self) -> DayTotals:
        return sum_of(self.kept.values())


def sum_of(days: Iterable[DayTotals]) -> DayTotals:
    return reduce(lambda one, other: DayTotals(*map(add, one, other)), days, NO_TOTALS)


def history_of(experiment: Experiment, chosen: DataFilter = _EVERYTHING) -> History:
    """Add up each day, over all variants and over those that the filter keeps; one query."""
    rows = DailyMetric.objects.filter(variant__experiment=experiment)
    only = Q(variant=chosen.variant) if chosen.variant else Q()
    sums = {f"all_{name}": Sum(name) for name in MEASURE_NAMES}
    sums |= {f"own_{name}": Sum(name, filter=only) for name in MEASURE_NAMES}
    days: dict[dt.date, DayTotals] = {}
    kept: dict[dt.date, DayTotals] = {}
    size = len(MEASURE_NAMES)
    for date, *totals in rows.order_by("-date").values("date").annotate(**sums).values_list("date", *sums):
        days[date] = DayTotals(*totals[:size])
        if chosen.keeps(date) and totals[size] is not None:
            kept[date] = DayTotals(*totals[size:])
    return History(days, kept)


def days_page(
    history: History, number: Any, day: dt.date | None = None, *, variants: int = 1
) -> "Page[dt.date]":
    """Take a page of the dates, each with so many ``variants``; the page of ``day`` where one is asked for."""
    size = min(DAYS_PER_PAGE, max(1, _ROWS_PER_PAGE // max(1, variants)))
    dates = list(history.kept)
    if day in history.kept:
        number = dates.index(day) // size + 1
    return Paginator(dates, size).get_page(number)


def days_of(
    experiment: Experiment, dates: list[dt.date], measures: Sequence[Measure], only: Variant | None = None
) -> list[Day]:
    """Read the rows of these dates, in their order, variants as on every page, or ``only`` one; one query."""
    every = list(experiment.variants.all())
    colours, stored = variant_colours(every), _stored(experiment, dates)
    variants = [variant for variant in every if only in (None, variant)]
    reward = Reward(experiment.reward)
    return [
        Day(
            date,
            [
                _line(variant, colours[variant.pk], stored[date][variant.pk], reward, measures)
                for variant in variants
                if variant.pk in stored[date]
            ],
        )
        for date in dates
    ]


def totals_of(experiment: Experiment, date: dt.date) -> dict[int, DayTotals]:
    """Read the stored totals of a day, by variant; one query."""
    return dict(_stored(experiment, [date])[date])


def next_day(experiment: Experiment, today: dt.date) -> dt.date | None:
    """Suggest the day to add next, after the latest there is; None where today is there already."""
    latest = experiment.data_summary.latest_date
    following = latest + dt.timedelta(days=1) if latest else today
    return following if following <= today else None


def _stored(experiment: Experiment, dates: list[dt.date]) -> defaultdict[dt.date, dict[int, DayTotals]]:
    found: defaultdict[dt.date, dict[int, DayTotals]] = defaultdict(dict)
    rows = DailyMetric.objects.filter(variant__experiment=experiment, date__in=dates)
    for date, pk, *totals in rows.values_list("date", "variant_id", *MEASURE_NAMES):
        found[date][pk] = DayTotals(*totals)
    return found


def _line(
    variant: Variant, colour: str, totals: DayTotals, reward: Reward, measures: Sequence[Measure]
) -> DailyLine:
    return DailyLine(variant, colour, totals, rate_of(totals, reward), measures)


def rate_of(totals: DayTotals, reward: Reward) -> float | None:
    trials, successes = reward.trials(totals), reward.successes(totals)
    return float(successes) / trials if trials else None
