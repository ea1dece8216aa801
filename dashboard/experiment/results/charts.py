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
    goal = experiment.goal
    unit = str(goal.successes_count.label)
    named = f"{unit}, {experiment.currency}" if goal.is_value and experiment.currency else unit
    return Chart(
        id="extra-vs-even-split",
        title=capfirst(_("Extra %(unit)s vs even split, cumulative") % {"unit": goal.successes_count.unit}),
        unit="count",
        y_title=named,
        x=[row.date for row in by_day],
        y_min=_least(by_day),
        series=[
            Series(
                named,
                "variant-3",
                [row.gained_over_even for row in by_day],
                [row.gained_low for row in by_day],
                [row.gained_high for row in by_day],
            )
        ],
    )


def _least(by_day: Sequence[DailyRewards]) -> float | None:
    """Begin at 0 unless the gain may well be a loss: a hair below would open half an axis of nothing."""
    low, high = (
        min((d.gained_low for d in by_day), default=0.0),
        max((d.gained_high for d in by_day), default=0.0),
    )
    return None if low < -_HAIR * max(high, 0.0) else 0.0
