"""Facts of all the data of an experiment, beside the calendar: from when to when, how many days, and their totals."""

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from dashboard.experiment.data.calendar import Span
from dashboard.experiment.data.daily_table import History, rate_of, sum_of
from experiments.metrics import Measure, Number
from experiments.models import Experiment


class Facts(NamedTuple):
    """Facts of all days, whatever the filter keeps; ``missing`` days lie between the first and the last.

    ``through``: the last day that counts; ``ahead``: one that has not begun here, and counts once it has.
    """

    span: Span
    through: dt.date | None
    ahead: dt.date | None
    days: int
    missing: int
    totals: list[tuple[Measure, Number]]
    rate: float | None


def facts_of(
    experiment: Experiment, history: History, measures: Sequence[Measure], today: dt.date
) -> Facts | None:
    """Add everything up; None without data."""
    if (span := history.span) is None:
        return None
    totals = sum_of(history.days.values())
    missing = (span.last - span.first).days + 1 - len(history.days)
    shown = [(measure, getattr(totals, measure.name)) for measure in measures]
    through = max((day for day in history.days if day <= today), default=None)
    ahead = span.last if span.last > today else None
    return Facts(span, through, ahead, len(history.days), missing, shown, rate_of(totals, experiment.goal))
