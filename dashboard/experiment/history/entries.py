"""Entries of the history tab: one thing that happened, titled by what it was."""

import datetime as dt
from dataclasses import dataclass, field
from typing import NamedTuple

from django.db import models
from django.utils.translation import gettext_lazy as _


class Topic(models.TextChoices):
    """The subjects by which the history is filtered."""

    STATUS = "status", _("Start, pause and end")
    SETTINGS = "settings", _("Settings")
    DATA = "data", _("Data")
    VARIANTS = "variants", _("Variants")
    NOTES = "notes", _("Notes")
    GUARDS = "guards", _("Guards")
    SHARING = "sharing", _("Sharing")


class FieldChange(NamedTuple):
    field: str
    before: str
    after: str


@dataclass(frozen=True)
class Entry:
    """One thing that happened; ``actor`` is empty where the service itself did it. ``text`` is a person's words.

    ``note_id``: the note that it is about, which may be deleted.
    """

    at: dt.datetime
    topic: Topic
    title: str
    actor: str = ""
    text: str = ""
    fields: list[FieldChange] = field(default_factory=list)
    note_id: int | None = None
