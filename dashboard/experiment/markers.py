"""Marks on charts of days: what people wrote, changed, and what the data showed."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from django.utils import timezone
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from allocation.statistics.experiment import Statistics
from dashboard.charts import Chart, Mark
from dashboard.experiment.notes import notes_of
from experiments.campaign.models import Note
from experiments.models import Experiment, Status
from experiments.settings_schema import ALGORITHM_SETTINGS
from notifications.alarms import is_same_change

# What fits beside a mark; the whole text is under History.
_LABEL_LENGTH = 24
# More marks would hide the lines.
_MOST_MARKS = 12


class Marker(NamedTuple):
    """Words about a day."""

    date: dt.date
    label: str


def markers_of(
    experiment: Experiment, statistics: Statistics, notes: Sequence[Note] | None = None
) -> list[Marker]:
    """Collect the marks of an experiment; two queries, or one where the notes were read already."""
    return [*markers_of_changes(experiment, notes), *_of_evidence(statistics)]


def markers_of_changes(experiment: Experiment, notes: Sequence[Note] | None = None) -> list[Marker]:
    """Collect what people wrote and changed; two queries, or one where the notes were read already."""
    written = [Marker(note.date, note.text) for note in (notes_of(experiment) if notes is None else notes)]
    return [*written, *_of_history(experiment), *_of_variants(experiment)]


def marked(chart: Chart, markers: Sequence[Marker]) -> Chart:
    """Mark a chart of days on those that it holds, the latest ones."""
    days = [day for day in chart.x if isinstance(day, dt.date)]
    by_day: defaultdict[dt.date, list[str]] = defaultdict(list)
    for marker in markers:
        if days and days[0] <= marker.date <= days[-1]:
            by_day[marker.date].append(marker.label)
    latest = sorted(by_day.items())[-_MOST_MARKS:]
    marks = [
        Mark("x", day.isoformat(), Truncator("; ".join(said)).chars(_LABEL_LENGTH)) for day, said in latest
    ]
    return replace(chart, marks=[*chart.marks, *marks])


def _of_history(experiment: Experiment) -> list[Marker]:
    """Compare each record of the experiment with the one before it; an end that was undone leaves no mark."""
    names = ("history_date", "status", *ALGORITHM_SETTINGS)
    records = Experiment.history.filter(id=experiment.pk).order_by("history_id").values_list(*names)
    found: list[Marker] = []
    ended: Marker | None = None
    for (_then, before, *settings), (at, status, *changed) in pairwise(records):
        date = timezone.localdate(at)
        if before != status and before == Status.COMPLETED:
            found = [marker for marker in found if marker is not ended]
        elif before != status and (label := _label_of(before, status)):
            found.append(Marker(date, label))
            ended = found[-1] if status == Status.COMPLETED else ended
        if settings != changed:
            found.append(Marker(date, _("settings changed")))
    return found


def _label_of(before: str, status: str) -> str:
    """Word a move from one status to another; empty for one that charts do not mark."""
    if status == Status.PAUSED:
        return _("paused")
    if status == Status.COMPLETED:
        return _("ended")
    return _("resumed") if before == Status.PAUSED else ""


def _of_variants(experiment: Experiment) -> Iterator[Marker]:
    """Name each variant that came on a later day than the first."""
    created = [(timezone.localdate(v.created_at), v.name) for v in experiment.variants.all()]
    first = min((date for date, _name in created), default=None)
    for date, name in created:
        if date != first:
            yield Marker(date, _("%(variant)s added") % {"variant": name})


def _of_evidence(statistics: Statistics) -> Iterator[Marker]:
    passed = statistics.convergence.first_passed_95_percent
    if passed is not None:
        yield Marker(passed, _("95% reached"))
    known: list[dt.date] = []
    for date in statistics.changes_of_rates:
        if not any(is_same_change(date, other) for other in known):
            known.append(date)
            yield Marker(date, _("rates changed"))
