"""Alarms: raised once when a condition begins to hold, cleared when it no longer does."""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

from experiments.events import log_event_on_commit
from experiments.models import Experiment
from notifications.models import Alarm
from notifications.outbox import NewEvent

_SAME_OCCURRENCE = dt.timedelta(days=7)
# By experiment id and kind: the facts, or None where it is too early to raise an alarm. Facts with a date ``since``
# are another occurrence of the condition where that date has moved by more than a week.
ActiveConditions = Mapping[tuple[int, str], dict[str, Any] | None]


def sync_alarms(
    experiments: Mapping[int, Experiment], kinds: Collection[str], holding: ActiveConditions, now: dt.datetime
) -> list[NewEvent]:
    """Make the open alarms of these kinds what holds now; return what is new. Call with the experiments locked."""
    open_now = {
        (alarm.experiment_id, alarm.kind): alarm
        for alarm in Alarm.objects.filter(experiment__in=experiments, kind__in=kinds, cleared_at=None)
    }
    over = [
        alarm.pk
        for place, alarm in open_now.items()
        if place not in holding or _is_another(alarm.facts, holding[place])
    ]
    open_now = {place: alarm for place, alarm in open_now.items() if alarm.pk not in over}
    if over:
        Alarm.objects.filter(pk__in=over).update(cleared_at=now)
    new = [
        Alarm(experiment=experiments[pk], kind=kind, facts=facts, raised_at=now)
        for (pk, kind), facts in holding.items()
        if facts is not None and (pk, kind) not in open_now
    ]
    if new:
        Alarm.objects.bulk_create(new)
    for alarm in new:
        log_event_on_commit("alarm.raised", experiment=alarm.experiment_id, kind=str(alarm.kind))
    return [NewEvent(alarm.kind, alarm.experiment, alarm.facts) for alarm in new]


def _is_another(raised: Mapping[str, Any], holding: Mapping[str, Any] | None) -> bool:
    """Tell a second change from the first, whose date new data may still move by some days."""
    if holding is None or "since" not in raised:
        return False
    moved = dt.date.fromisoformat(holding["since"]) - dt.date.fromisoformat(raised["since"])
    return abs(moved) > _SAME_OCCURRENCE


def clear_where_not_active(kinds: Collection[str], now: dt.datetime) -> None:
    """Clear the alarms of experiments that no longer run."""
    Alarm.objects.filter(kind__in=kinds, cleared_at=None).exclude(
        experiment__status="active", experiment__archived_at=None
    ).update(cleared_at=now)
