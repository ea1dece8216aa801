"""The stage of an experiment, and what about it needs attention."""

from typing import NamedTuple

from django.db import models
from django.utils.translation import gettext_lazy as _


class Stage(models.TextChoices):
    """Where an experiment is between its draft and its archive, in the order of the chips."""

    DRAFT = "draft", _("Draft")
    WARM_UP = "warm_up", _("Warming up")
    LEARNING = "learning", _("Learning")
    LEADER = "leader", _("Leader (95%)")
    READY = "ready", _("Ready to decide")
    GUARDED = "guarded", _("Stopped by a guard")
    PAUSED = "paused", _("Paused")
    ENDED = "ended", _("Ended")
    ARCHIVED = "archived", _("Archived")


class Flag(models.TextChoices):
    """A reason to look at a running experiment, the most pressing first.

    Of a paused one a mismatch and a warning are shown, of one that has ended a mismatch.
    """

    MISMATCH = "mismatch", _("Traffic mismatch (SRM)")
    GUARD = "guard", _("Guard warns")
    LATE = "late", _("Data is late")
    ALONE = "alone", _("One variant only")


class Listed(NamedTuple):
    """One experiment as its row begins. ``decision``: the id of the allocation in force."""

    pk: int
    status: str
    stage: Stage
    flags: tuple[Flag, ...]
    decision: int | None
