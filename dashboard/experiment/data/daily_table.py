"""Daily rows to read and to edit: days, newest first, each with its variants."""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator

from dashboard.charts import variant_colours
from experiments.metrics import MEASURE_NAMES, DayTotals, Measure, Number, Reward
from experiments.models import DailyMetric, Experiment, Variant

DAYS_PER_PAGE = 14


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


def days_page(experiment: Experiment, number: Any) -> "Page[dt.date]":
    """List the dates on a page; two queries."""
    dates = (
        DailyMetric.objects.filter(variant__experiment=experiment)
        .order_by("-date")
        .values_list("date", flat=True)
        .distinct()
    )
    return Paginator(dates, DAYS_PER_PAGE).get_page(number)


def days_of(experiment: Experiment, dates: list[dt.date], measures: Sequence[Measure]) -> list[Day]:
    """Read the rows of these dates, in their order, variants as on every page; one query."""
    variants = list(experiment.variants.all())
    colours, stored = variant_colours(variants), _stored(experiment, dates)
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
    trials, successes = reward.trials(totals), reward.successes(totals)
    return DailyLine(variant, colour, totals, float(successes) / trials if trials else None, measures)
