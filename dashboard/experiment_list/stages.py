"""The stage of each experiment, and what about it needs attention: in few queries, however many there are."""

import datetime as dt
from dataclasses import dataclass
from typing import NamedTuple

from django.db import models
from django.db.models import Count, Max, OuterRef, Q, Subquery
from django.utils.translation import gettext_lazy as _

from allocation.models import Allocation, Kind, State
from dashboard.experiment.summary import is_late
from experiments.models import DailyMetric, Experiment, Status, Variant
from notifications.events import EventKind
from notifications.models import Alarm


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
    """A reason to look at a running experiment, the most pressing first."""

    MISMATCH = "mismatch", _("Traffic mismatch (SRM)")
    GUARD = "guard", _("Guard warns")
    LATE = "late", _("Data is late")
    ALONE = "alone", _("One variant only")


_OF_STATE = {
    State.COLLECTING: Stage.WARM_UP,
    State.OPTIMIZING: Stage.LEARNING,
    State.LEADER: Stage.LEADER,
    State.DECIDED: Stage.READY,
}
_OF_STATUS = {Status.DRAFT: Stage.DRAFT, Status.PAUSED: Stage.PAUSED, Status.COMPLETED: Stage.ENDED}
_OF_ALARM = {EventKind.SAMPLE_RATIO_MISMATCH: Flag.MISMATCH, EventKind.GUARD_WARNED: Flag.GUARD}
# No result is called one while traffic does not arrive as split, nor where nothing is compared.
_RESULTS = {Stage.LEADER, Stage.READY}
_NO_RESULT = {Flag.MISMATCH, Flag.ALONE}
_URGENT = (Stage.READY, Stage.LEADER, Stage.LEARNING, Stage.WARM_UP, Stage.PAUSED, Stage.DRAFT, Stage.ENDED)


class InForce(NamedTuple):
    """The allocation in force of an experiment, without its shares."""

    pk: int
    kind: str
    state: str
    value_remaining: float | None
    gained_over_even: float | None


@dataclass(frozen=True)
class Listed:
    """One experiment as chips, filters, orders and totals need it. ``latest``: the last day with data."""

    pk: int
    name: str
    reward: str
    status: str
    created_at: dt.datetime
    updated_at: dt.datetime
    stage: Stage
    flags: tuple[Flag, ...]
    latest: dt.date | None
    decision: "InForce | None"

    @property
    def value_remaining(self) -> float | None:
        return self.decision.value_remaining if self.decision else None

    @property
    def runs(self) -> bool:
        return self.status == Status.ACTIVE and self.stage != Stage.ARCHIVED

    @property
    def needs_attention(self) -> bool:
        """True where a person should act: something is wrong, or the decision is ready."""
        return bool(self.flags) or self.stage in {Stage.GUARDED, Stage.READY}

    @property
    def urgency(self) -> tuple[int, int]:
        """The most urgent sorts first."""
        if self.stage == Stage.GUARDED:
            return 0, 0
        if self.flags:
            return 1, list(Flag).index(self.flags[0])
        return 2, _URGENT.index(self.stage) if self.stage in _URGENT else len(_URGENT)


def listed(today: dt.date) -> list[Listed]:
    """Read the stage of every experiment, newest first; four queries."""
    rows = Experiment.objects.order_by("-created_at", "-pk").values_list(*_Known._fields)
    variants, decisions, alarms = _variants(today), _in_force(today), _alarms()
    return [
        _listed(
            known,
            variants.get(known.pk, _Variants(None, 0)),
            decisions.get(known.pk),
            alarms.get(known.pk, set()),
            today,
        )
        for known in (_Known(*row) for row in rows)
    ]


class _Known(NamedTuple):
    pk: int
    name: str
    reward: str
    status: str
    created_at: dt.datetime
    updated_at: dt.datetime
    archived_at: dt.datetime | None


class _Variants(NamedTuple):
    """The last day with data of an experiment's variants, and how many are active."""

    latest: dt.date | None
    active: int


def _variants(today: dt.date) -> dict[int, _Variants]:
    """Read the variants of every experiment; each one's last day is the end of an index."""
    days = (
        DailyMetric.objects.filter(variant=OuterRef("pk"), date__lte=today).order_by("-date").values("date")
    )
    variants = Variant.objects.order_by().alias(ends=Subquery(days[:1]))
    active = Count("pk", filter=Q(is_active=True))
    rows = variants.values_list("experiment_id").annotate(latest=Max("ends"), active=active)
    return {pk: _Variants(latest, active) for pk, latest, active in rows}


def _listed(
    known: _Known, variants: _Variants, decision: InForce | None, alarms: set[Flag], today: dt.date
) -> Listed:
    stage = Stage.ARCHIVED if known.archived_at else _stage(known.status, decision)
    runs = known.status == Status.ACTIVE and stage != Stage.ARCHIVED
    raised = alarms | _raised(stage, variants, today) if runs else set()
    if stage in _RESULTS and raised & _NO_RESULT:
        stage = Stage.LEARNING
    return Listed(
        pk=known.pk,
        name=known.name,
        reward=known.reward,
        status=known.status,
        created_at=known.created_at,
        updated_at=known.updated_at,
        stage=stage,
        flags=tuple(flag for flag in Flag if flag in raised),
        latest=variants.latest,
        decision=decision,
    )


def _raised(stage: Stage, variants: _Variants, today: dt.date) -> set[Flag]:
    late = {Flag.LATE} if is_late(variants.latest, today) else set()
    return late | ({Flag.ALONE} if stage in _RESULTS and variants.active < 2 else set())


def _stage(status: str, decision: InForce | None) -> Stage:
    if status in _OF_STATUS:
        return _OF_STATUS[Status(status)]
    if decision and decision.kind == Kind.GUARD:
        return Stage.GUARDED
    return _OF_STATE[State(decision.state)] if decision and decision.state else Stage.WARM_UP


def _in_force(today: dt.date) -> dict[int, InForce]:
    """The allocation in force of each experiment, by experiment id."""
    everything = Experiment.objects.order_by().values_list("pk", flat=True)
    found = Allocation.objects.newest_of(everything, today).order_by()
    return {pk: InForce(*row) for pk, *row in found.values_list("experiment_id", *InForce._fields)}


def _alarms() -> dict[int, set[Flag]]:
    """The open alarms of every experiment."""
    open_alarms = Alarm.objects.filter(cleared_at=None, kind__in=list(_OF_ALARM))
    flags: dict[int, set[Flag]] = {}
    for pk, kind in open_alarms.values_list("experiment_id", "kind"):
        flags.setdefault(pk, set()).add(_OF_ALARM[EventKind(kind)])
    return flags
