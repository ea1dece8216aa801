"""Facts of all the data of an experiment, beside the calendar: from when to when, how many days, and their totals."""

from collections.abc import Sequence
from typing import NamedTuple

from dashboard.experiment.data.calendar import Span
from dashboard.experiment.data.daily_table import History, rate_of, sum_of
from experiments.metrics import Measure, Number
from experiments.models import Experiment


class Facts(NamedTuple):
    """Facts of all days, whatever the filter keeps; ``missing`` days lie between the first and the last."""

    span: Span
    days: int
    missing: int
    totals: list[tuple[Measure, Number]]
    rate: float | None


def facts_of(experiment: Experiment, history: History, measures: Sequence[Measure]) -> Facts | None:
    """Add everything up; None without data."""
    if (span := history.span) is None:
        return None
    totals = sum_of(history.days.values())
    missing = (span.last - span.first).days + 1 - len(history.days)
    shown = [(measure, getattr(totals, measure.name)) for measure in measures]
    return Facts(span, len(history.days), missing, shown, rate_of(totals, experiment.goal))
