"""The stage of each experiment, and what about it needs attention: in few queries, however many there are."""

import datetime as dt
from typing import NamedTuple

from django.db import models
from django.utils.translation import gettext_lazy as _

from allocation.models import Kind, State
from dashboard.experiment.summary import STALE_AFTER_DAYS
from experiments.database.rows import rows_of
from experiments.models import Experiment, Status
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


class Listed(NamedTuple):
    """One experiment as chips, filters and orders need it."""

    pk: int
    name: str
    status: str
    updated_at: dt.datetime
    stage: Stage
    flags: tuple[Flag, ...]
    decision: "InForce | None"

    @property
    def value_remaining(self) -> float | None:
        return self.decision.value_remaining if self.decision else None

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
    """Read the stage of every experiment, newest first; three queries.

    They read what every experiment needs and nothing that the rows of a page alone show.
    """
    known = Experiment.objects.order_by("-created_at", "-pk").values_list(*_Known._fields)
    facts, alarms = _facts(today), _alarms()
    # what was created meanwhile is left out
    return [
        _listed(one, facts[one.pk], alarms.get(one.pk, set()))
        for one in (_Known(*row) for row in known)
        if one.pk in facts
    ]


class _Known(NamedTuple):
    pk: int
    name: str
    status: str
    updated_at: dt.datetime
    archived_at: dt.datetime | None


class _Facts(NamedTuple):
    """How many variants of an experiment are active, whether its data is late, and the allocation in force."""

    active: int
    is_late: bool
    decision: InForce | None


# Days before the last ones are looked at where these have no data, which is rare; EXISTS would have PostgreSQL read
# all variants for each.
_FACTS = """
SELECT e.id, coalesce(own.active, 0), CASE WHEN e.status = %s AND recent.id IS NULL THEN (
        SELECT max(m.date) FROM experiments_variant v JOIN experiments_dailymetric m ON m.variant_id = v.id
        WHERE v.experiment_id = e.id AND m.date <= %s
    ) END, a.id, a.kind, a.state, a.value_remaining
FROM experiments_experiment e
LEFT JOIN (
    SELECT experiment_id AS id, sum(CASE WHEN is_active THEN 1 ELSE 0 END) AS active
    FROM experiments_variant GROUP BY experiment_id
) own ON own.id = e.id
LEFT JOIN (
    SELECT DISTINCT v.experiment_id AS id
    FROM experiments_dailymetric m JOIN experiments_variant v ON v.id = m.variant_id
    WHERE m.date >= %s AND m.date <= %s
) recent ON recent.id = e.id
LEFT JOIN allocation_allocation a ON a.id = (
    SELECT n.id FROM allocation_allocation n WHERE n.experiment_id = e.id AND n.target_date <= %s
    ORDER BY n.target_date DESC, n.revision DESC LIMIT 1
)
"""


def _facts(today: dt.date) -> dict[int, _Facts]:
    """Read the facts of every experiment, by its id; late is one that runs, has data, and none of the last days."""
    recent = (today - dt.timedelta(days=STALE_AFTER_DAYS)).isoformat()
    day = today.isoformat()
    rows = rows_of(_FACTS, [Status.ACTIVE.value, day, recent, day, day])
    return {
        pk: _Facts(active, last is not None, None if decision[0] is None else InForce(*decision))
        for pk, active, last, *decision in rows
    }


def _listed(known: _Known, facts: _Facts, alarms: set[Flag]) -> Listed:
    stage = Stage.ARCHIVED if known.archived_at else _stage(known.status, facts.decision)
    runs = known.status == Status.ACTIVE and stage != Stage.ARCHIVED
    raised = alarms | _raised(stage, facts) if runs else set()
    if stage in _RESULTS and raised & _NO_RESULT:
        stage = Stage.LEARNING
    flags = tuple(flag for flag in Flag if flag in raised) if raised else ()
    return Listed(known.pk, known.name, known.status, known.updated_at, stage, flags, facts.decision)


def _raised(stage: Stage, facts: _Facts) -> set[Flag]:
    late = {Flag.LATE} if facts.is_late else set()
    return late | ({Flag.ALONE} if stage in _RESULTS and facts.active < 2 else set())


def _stage(status: str, decision: InForce | None) -> Stage:
    if status in _OF_STATUS:
        return _OF_STATUS[Status(status)]
    if decision and decision.kind == Kind.GUARD:
        return Stage.GUARDED
    return _OF_STATE[State(decision.state)] if decision and decision.state else Stage.WARM_UP


def _alarms() -> dict[int, set[Flag]]:
    """The open alarms of every experiment."""
    open_alarms = Alarm.objects.filter(cleared_at=None, kind__in=list(_OF_ALARM))
    flags: dict[int, set[Flag]] = {}
    for pk, kind in open_alarms.values_list("experiment_id", "kind"):
        flags.setdefault(pk, set()).add(_OF_ALARM[EventKind(kind)])
    return flags
