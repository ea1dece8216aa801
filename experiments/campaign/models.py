"""The campaign around an experiment: its owner, tags, start and end, notes and guards. Words, checks, tables."""

import datetime as dt
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from experiments.audit import ACTOR_LENGTH, audit_history
from experiments.exceptions import InvalidError, Issue
from experiments.metrics import EXACT_DIGITS, HIGHEST_VALUE, Reward

if TYPE_CHECKING:
    from experiments.models import Experiment

OWNER_LENGTH = 80
CURRENCY_LENGTH = 16
TAG_LENGTH = 40
MAX_TAGS = 20
REASON_LENGTH = 2000
NOTE_LENGTH = 500
TAGS_LENGTH = MAX_TAGS * (TAG_LENGTH + 1)
# Letters and digits of any script, with signs between them: no spaces, as tags are stored with one between each two.
TAG_PATTERN = rf"^\w[\w.:/&+-]{{0,{TAG_LENGTH - 1}}}$"
CURRENCY_PATTERN = rf"^[^\s\x00-\x1f\x7f]{{1,{CURRENCY_LENGTH}}}$"


class End(models.TextChoices):
    """The ways in which an experiment ends at its ends_at."""

    PAUSE = "pause", gettext_lazy("Pause: traffic stays at the last allocation")
    CONTROL = "control", gettext_lazy("The control gets all traffic")
    LEADER = "leader", gettext_lazy("The leader gets all traffic")
    VARIANT = "variant", gettext_lazy("A chosen variant gets all traffic")


# A campaign about which nothing has been said.
BLANK_CAMPAIGN: dict[str, Any] = {
    "owner": "",
    "tags": (),
    "currency": "",
    "value_cap": None,
    "fixed_variants": False,
    "starts_at": None,
    "ends_at": None,
    "on_end": End.PAUSE,
    "on_end_variant": None,
    "complete_when_decided": False,
}
CAMPAIGN_FIELDS = tuple(BLANK_CAMPAIGN)


class Note(models.Model):
    """A remark about a day of an experiment, such as the start of a sale; charts show it."""

    experiment = models.ForeignKey("Experiment", on_delete=models.CASCADE, related_name="notes")
    date = models.DateField()
    text = models.CharField(max_length=NOTE_LENGTH)
    author = models.CharField(max_length=ACTOR_LENGTH, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-date", "-id")

    def __str__(self) -> str:
        return f"{self.date}: {self.text}"


class GuardAction(models.TextChoices):
    ACT = "act", gettext_lazy("Give the control all traffic")
    TELL = "tell", gettext_lazy("Notify only")


class Guard(models.Model):
    """A metric that must not fall by more than ``max_fall`` percent below the control's."""

    experiment = models.ForeignKey("Experiment", on_delete=models.CASCADE, related_name="guards")
    metric = models.CharField(max_length=24, choices=Reward.choices)
    max_fall = models.FloatField(help_text=gettext_lazy("Percent of the control's, above 0 and below 100."))
    action = models.CharField(max_length=4, choices=GuardAction.choices, default=GuardAction.TELL)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    history = audit_history()

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=("experiment", "metric"),
                name="guard_metric_unique",
                violation_error_message="This metric has a guard already.",
            ),
            models.CheckConstraint(name="guard_metric_known", condition=Q(metric__in=Reward.values)),
            models.CheckConstraint(name="guard_action_known", condition=Q(action__in=GuardAction.values)),
            models.CheckConstraint(
                name="guard_max_fall_range",
                condition=Q(max_fall__gt=0, max_fall__lt=100),
                violation_error_message="max_fall must be above 0 and below 100, in percent.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_metric_display()}: {self.max_fall:g}%"


def tags_text(tags: Sequence[str]) -> str:
    """Write tags as they are stored: in small letters, each once, in their order."""
    return " ".join(dict.fromkeys(tag.lower() for tag in tags))


def refuse_campaign_problems(
    experiment: "Experiment", *, leave_out: str = "", ends_after: dt.datetime | None = None
) -> None:
    """Raise InvalidError for what is wrong with the campaign's fields; ``leave_out`` is checked later.

    ``ends_after``: now, where an end has just been set, which is then to come.
    """
    problems = campaign_problems(experiment)
    if ends_after and experiment.ends_at and experiment.ends_at <= ends_after:
        problems.setdefault("ends_at", _("has passed; name a later moment, or end the experiment now"))
    found = [Issue(name, "invalid", said) for name, said in problems.items() if name != leave_out]
    if found:
        raise InvalidError(found)


def campaign_problems(experiment: "Experiment") -> dict[str, str]:
    """Name what is wrong with the campaign's fields, each with the fix."""
    problems = {
        "tags": _tags_problem(experiment.tag_list),
        "currency": _currency_problem(experiment.currency),
        "value_cap": _cap_problem(experiment),
        "ends_at": _ends_problem(experiment),
        "on_end_variant": _end_variant_problem(experiment),
    }
    return {name: problem for name, problem in problems.items() if problem}


def _tags_problem(tags: Sequence[str]) -> str:
    if len(tags) > MAX_TAGS:
        return _("at most %(most)s tags are kept, not %(count)s") % {"most": MAX_TAGS, "count": len(tags)}
    wrong = [tag for tag in tags if not re.match(TAG_PATTERN, tag)]
    message = _("%(tag)r is not a tag: letters, digits and . : / & + - _, at most %(length)s of them")
    return message % {"tag": wrong[0][: TAG_LENGTH + 1], "length": TAG_LENGTH} if wrong else ""


def _currency_problem(currency: str) -> str:
    if not currency or re.match(CURRENCY_PATTERN, currency):
        return ""
    return _("must be a word of at most %(length)s characters, such as EUR") % {"length": CURRENCY_LENGTH}


def _cap_problem(experiment: "Experiment") -> str:
    cap = experiment.value_cap
    is_exact = cap is None or len(cap.normalize().as_tuple().digits) <= EXACT_DIGITS
    if is_exact and (cap is None or 0 < cap <= HIGHEST_VALUE):
        return ""
    message = _("must be a positive number up to %(highest)s of at most %(digits)s digits, or blank for none")
    return message % {"highest": HIGHEST_VALUE, "digits": EXACT_DIGITS}


def _ends_problem(experiment: "Experiment") -> str:
    starts, ends = experiment.starts_at, experiment.ends_at
    return _("must be after the start") if starts and ends and ends <= starts else ""


def _end_variant_problem(experiment: "Experiment") -> str:
    chosen = experiment.on_end_variant
    if chosen is None:
        is_missing = experiment.on_end == End.VARIANT
        return _("name the variant that gets all traffic at the end") if is_missing else ""
    is_own = chosen.experiment_id == experiment.pk
    return "" if is_own else _("must be one of the experiment's variants")
