"""Marks of what a sweep need not look at again: experiments of which nothing has changed since it decided.

A decision follows from the experiment's data and settings, whose every change raises its data version, from the
decisions before, from the alarm of a sample-ratio mismatch, and from the installation's settings and the engine. The
sweep notes them beside each experiment that it decides; one statement compares them for a whole chunk.
"""

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from django.conf import settings

from allocation.engine import ENGINE_VERSION, RULES
from allocation.ledger.entries import Entry
from allocation.models import Allocation, SweepMark
from experiments.database.recordset import upsert
from experiments.database.rows import places, rows_of, unsaved
from experiments.models import Status
from experiments.settings_schema import with_defaults
from notifications.events import EventKind

_ACTIVE = """
SELECT e.id, (SELECT count(*) FROM experiments_variant v WHERE v.experiment_id = e.id), e.archived_at IS NOT NULL,
    e.data_version, (
        SELECT a.id FROM allocation_allocation a
        WHERE a.experiment_id = e.id AND a.target_date <= %s
        ORDER BY a.target_date DESC, a.revision DESC LIMIT 1
    ), m.decision, m.mismatch = EXISTS (
        SELECT 1 FROM notifications_alarm WHERE experiment_id = e.id AND kind = %s AND cleared_at IS NULL
    )
FROM experiments_experiment e LEFT JOIN allocation_sweepmark m ON m.experiment_id = e.id AND m.target_date = %s
    AND m.data_version = e.data_version AND m.changed_at = e.updated_at AND m.rules = %s
WHERE e.id IN ({among}) AND e.status = %s ORDER BY e.id
"""


class Active(NamedTuple):
    """An active experiment with its number of variants, its data version and the id of the decision in force;
    ``is_unchanged`` since it was swept for the date."""

    id: int
    variants: int
    is_archived: bool
    data_version: int
    decision: int | None
    is_unchanged: bool


def active_of(ids: Sequence[int], target_date: dt.date) -> list[Active]:
    """Those of the experiments that are active; one statement."""
    if not ids:
        return []
    day = target_date.isoformat()
    parameters = [day, EventKind.SAMPLE_RATIO_MISMATCH.value, day, rules(), *ids, Status.ACTIVE.value]
    rows = rows_of(_ACTIVE.format(among=places(ids)), parameters)
    return [_active(*row) for row in rows]


def _active(
    pk: int,
    variants: int,
    archived: int,
    version: int,
    newest: int | None,
    marked: int | None,
    same: int | None,
) -> Active:
    is_unchanged = marked is not None and marked == newest and bool(same)
    return Active(pk, variants, bool(archived), version, newest, is_unchanged)


def mark_as_swept(entries: Sequence[Entry], target_date: dt.date, seen: Mapping[int, Active]) -> None:
    """Note what the decisions rest on; call in their transaction, which holds the experiments' locks.

    ``seen``: the experiments, by id, as they were before their traffic was looked at. One that has changed since is
    not marked: nobody has looked at the traffic that came meanwhile.
    """
    by = rules()
    looked_at = [(entry, seen.get(entry.allocation.experiment_id)) for entry in entries]
    marks = [_mark(entry, target_date, by) for entry, one in looked_at if one and _is_settled(entry, one)]
    upsert(marks)


def rules() -> str:
    """A digest of all that decisions and alarms depend on and that is the same for every experiment."""
    known = (
        ENGINE_VERSION, RULES, sorted(with_defaults({}).items()), settings.NO_DATA_DAYS,
        settings.ALARM_GRACE_DAYS, settings.ALARM_MIN_IMPRESSIONS,
    )  # fmt: skip
    return hashlib.sha256(repr(known).encode()).hexdigest()[:16]


def _mark(entry: Entry, target_date: dt.date, by: str) -> SweepMark:
    experiment = entry.allocation.experiment
    return unsaved(
        SweepMark,
        experiment_id=experiment.pk,
        target_date=target_date,
        data_version=experiment.data_version,
        changed_at=experiment.updated_at,
        decision=entry.allocation.pk,
        mismatch=bool(getattr(experiment, "has_mismatch", False)),
        rules=by,
    )


def _is_settled(entry: Entry, seen: Active) -> bool:
    """False where the decision splits traffic that was compared with the one before, or not looked at."""
    if entry.allocation.experiment.data_version != seen.data_version:
        return False
    if entry.inputs is None:
        return entry.allocation.pk == seen.decision
    days = entry.inputs.table.days
    return not days.size or _splits_none_of(int(days[-1]), entry.allocation)


def _splits_none_of(day: int, row: Allocation) -> bool:
    """True where the decision holds from a later day on than the last one with data."""
    through = row.data_through
    return day < row.target_date.toordinal() or (through is not None and through >= row.target_date)
