"""Alarms: raised once when a condition begins to hold, cleared when it no longer does."""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from experiments.events import log_event_on_commit
from experiments.models import Experiment
from experiments.rows import Columns, places, rows_of
from notifications.events import EventKind
from notifications.models import Alarm
from notifications.outbox import NewEvent

_SAME_CHANGE = dt.timedelta(days=7)
# What happened on a day, the date ``since`` in the facts, stays true: such an alarm is not over when the evidence for
# it, which is near its threshold for days, falls below. It is raised again for another day.
DATED_KINDS = (EventKind.RATES_CHANGED,)
_ALARM = Columns(Alarm, "a")
# By hand: every decision asks.
_KNOWN = f"""
SELECT {_ALARM.sql} FROM notifications_alarm a
WHERE a.experiment_id IN ({{experiments}}) AND a.kind IN ({{kinds}})
    AND (a.cleared_at IS NULL OR a.kind IN ({{dated}})) ORDER BY a.raised_at DESC, a.id DESC
"""  # noqa: S608 (columns and placeholders only)
# By experiment id and kind: the facts, or None where it is too early to raise an alarm.
ActiveConditions = Mapping[tuple[int, str], dict[str, Any] | None]


def sync_alarms(
    experiments: Mapping[int, Experiment], kinds: Collection[str], holding: ActiveConditions, now: dt.datetime
) -> list[NewEvent]:
    """Make the open alarms of these kinds what holds now; return what is new. Call with the experiments locked."""
    known = _known_alarms(experiments, kinds)
    new = [
        Alarm(experiment=experiments[pk], kind=kind, facts=facts, raised_at=now)
        for (pk, kind), facts in holding.items()
        if facts is not None and _is_news(facts, known[pk, kind])
    ]
    replaced = {(alarm.experiment_id, alarm.kind) for alarm in new}
    over = [
        alarm.pk
        for place, alarms in known.items()
        for alarm in alarms
        if alarm.cleared_at is None
        and (place in replaced or (place not in holding and place[1] not in DATED_KINDS))
    ]
    if over:
        Alarm.objects.filter(pk__in=over).update(cleared_at=now)
    if new:
        Alarm.objects.bulk_create(new)
    for alarm in new:
        log_event_on_commit("alarm.raised", experiment=alarm.experiment_id, kind=str(alarm.kind))
    return [NewEvent(alarm.kind, alarm.experiment, alarm.facts) for alarm in new]


def _known_alarms(
    experiments: Collection[int], kinds: Collection[str]
) -> defaultdict[tuple[int, str], list[Alarm]]:
    """The open alarms, and of those with a date the ones that are over too; one query."""
    known: defaultdict[tuple[int, str], list[Alarm]] = defaultdict(list)
    if not experiments:
        return known
    sql = _KNOWN.format(experiments=places(experiments), kinds=places(kinds), dated=places(DATED_KINDS))
    for row in rows_of(sql, [*experiments, *map(str, kinds), *map(str, DATED_KINDS)]):
        alarm = _ALARM.instance(row)
        known[alarm.experiment_id, alarm.kind].append(alarm)
    return known


def _is_news(facts: Mapping[str, Any], known: Sequence[Alarm]) -> bool:
    if "since" not in facts:
        return not known
    since = dt.date.fromisoformat(facts["since"])
    return not any(is_same_change(since, dt.date.fromisoformat(alarm.facts["since"])) for alarm in known)


def is_same_change(one: dt.date, other: dt.date) -> bool:
    """True for two dates that are the same change: new data may move it by some days."""
    return abs(one - other) <= _SAME_CHANGE


def clear_where_not_active(kinds: Collection[str], now: dt.datetime) -> None:
    """Clear the alarms of experiments that no longer run."""
    Alarm.objects.filter(kind__in=kinds, cleared_at=None).exclude(
        experiment__status="active", experiment__archived_at=None
    ).update(cleared_at=now)
