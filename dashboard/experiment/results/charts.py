"""The two charts of the results: traffic over time, and what the split has brought."""

from collections.abc import Sequence

from django.utils.text import capfirst
from django.utils.translation import gettext as _

from allocation.statistics.experiment import Analysis, DailyRewards
from allocation.statistics.results import daily_shares
from dashboard.charts import Chart, Series
from dashboard.experiment.lines import Line
from experiments.models import Experiment

_HAIR = 0.05


def traffic_over_time(analysis: Analysis, lines: Sequence[Line]) -> Chart:
    """Draw the shares of each date's decision."""
    days = daily_shares(analysis)
    return Chart(
        id="traffic-over-time",
        title=_("Traffic share over time"),
        kind="area",
        y_title="",
        x=[day.date for day in days],
        y_max=1,
        series=[
            Series(line.name, line.colour, [sum(day.shares.get(pk, 0.0) for pk in line.ids) for day in days])
            for line in lines
        ],
    )


def cumulative_gain(analysis: Analysis, experiment: Experiment) -> Chart:
    """Draw what the split has brought beyond an even one, with its interval."""
    by_day = analysis.statistics.rewards.by_day
    is_nothing = _is_nothing(by_day)
    # as the number beside the chart is written: a dot at -0.33 on an axis of its own would be news
    gains, low, high = (
        [0.0 if is_nothing else getattr(day, name) for day in by_day]
        for name in ("gained_over_even", "gained_low", "gained_high")
    )
    goal = experiment.goal
    unit = str(goal.successes_count.label)
    named = f"{unit}, {experiment.currency}" if goal.is_value and experiment.currency else unit
    return Chart(
        id="extra-vs-even-split",
        title=capfirst(_("Extra %(unit)s vs even split, cumulative") % {"unit": goal.successes_count.unit}),
        unit="count",
        y_title=named,
        x=[row.date for row in by_day],
        y_min=-1 if is_nothing else _least(by_day),
        y_max=1 if is_nothing else None,
        series=[Series(named, "variant-3", gains, low, high)],
    )


def _is_nothing(by_day: Sequence[DailyRewards]) -> bool:
    """Tell of gains that each is written as 0, and its interval as 0 to 0."""
    return not any(round(bound) for day in by_day for bound in (day.gained_low, day.gained_high))


def _least(by_day: Sequence[DailyRewards]) -> float | None:
    """Begin at 0 unless the gain may well be a loss: a hair below would open half an axis of nothing."""
    low, high = (
        min((d.gained_low for d in by_day), default=0.0),
        max((d.gained_high for d in by_day), default=0.0),
    )
    return None if low < -_HAIR * max(high, 0.0) else 0.0
