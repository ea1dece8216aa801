"""Notes about days, as marks on the charts that have a time axis."""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from django.utils.text import Truncator

from dashboard.charts import Chart, Mark
from experiments.campaign.models import Note
from experiments.models import Experiment

# What fits beside a mark; the whole text is in the list of notes.
_LABEL_LENGTH = 18
# More marks would hide the lines.
_MOST_MARKS = 12
_MOST_NOTES = 50


def notes_of(experiment: Experiment) -> list[Note]:
    """Read the latest notes, newest day first."""
    return list(experiment.notes.order_by("-date", "-id")[:_MOST_NOTES])


def with_notes(charts: Sequence[Chart], notes: Sequence[Note]) -> list[Chart]:
    """Mark the days that have notes, the latest of them, on each chart of days that holds them."""
    return [replace(chart, marks=[*chart.marks, *_marks(chart, notes)]) for chart in charts]


def _marks(chart: Chart, notes: Sequence[Note]) -> list[Mark]:
    days = [day for day in chart.x if isinstance(day, dt.date)]
    by_day: defaultdict[dt.date, list[str]] = defaultdict(list)
    for note in notes:
        if days and days[0] <= note.date <= days[-1]:
            by_day[note.date].insert(0, note.text)
    latest = sorted(by_day.items())[-_MOST_MARKS:]
    return [
        Mark("x", day.isoformat(), Truncator("; ".join(said)).chars(_LABEL_LENGTH)) for day, said in latest
    ]
