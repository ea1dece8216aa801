"""The history as lines of a CSV: what its page tells, for the file of everything, in English as all of that is."""

from collections.abc import Iterator

from django.conf import settings
from django.utils import translation

from dashboard.experiment.history.entries import Entry, FieldChange
from dashboard.experiment.history.page import entries_of
from experiments.models import Experiment
from experiments.tables.importing.rows import as_cell

HISTORY_COLUMNS = ("at", "by", "about", "happened", "field", "before", "after", "text")


def history_lines(experiment: Experiment) -> Iterator[tuple[str, ...]]:
    """Yield a line for each entry, newest first; one that changed fields has a line for each of them."""
    with translation.override(settings.LANGUAGE_CODE):
        entries = entries_of(experiment, most=None)
    for entry in entries:
        with translation.override(settings.LANGUAGE_CODE):
            lines = list(_lines(entry))
        yield from lines


def _lines(entry: Entry) -> Iterator[tuple[str, ...]]:
    said = (as_cell(entry.actor), entry.topic.value, as_cell(str(entry.title)))
    for changed in entry.fields or [FieldChange("", "", "")]:
        yield (entry.at.isoformat(), *said, *(as_cell(str(cell)) for cell in changed), as_cell(entry.text))
