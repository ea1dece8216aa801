"""Notes about days."""

from experiments.campaign.models import Note
from experiments.models import Experiment

_MOST_NOTES = 50


def notes_of(experiment: Experiment) -> list[Note]:
    """Read the latest notes, newest day first."""
    return list(experiment.notes.order_by("-date", "-id")[:_MOST_NOTES])
