"""Alarms: raised once when a state begins to hold, cleared when it no longer does."""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

from experiments.events import log_event_on_commit
from experiments.models import Experiment
from notifications.models import Alarm
from notifications.outbox import NewEvent

# By experiment id and kind: what is known of it, or None where it is too early to raise an alarm.
ActiveConditions = Mapping[tuple[int, str], dict[str, Any] | None]


def sync_alarms(
    experiments: Mapping[int, Experiment], kinds: Collection[str], holding: ActiveConditions, now: dt.datetime
) -> list[NewEvent]:
    """Makes the open alarms of these kinds what holds now; what is new. Call with the experiments locked."""
    open_now = {
        (alarm.experiment_id, alarm.kind): alarm
        for alarm in Alarm.objects.filter(experiment__in=experiments, kind__in=kinds, cleared_at=None)
    }
    over = [alarm.pk for place, alarm in open_now.items() if place not in holding]
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


def clear_where_not_active(kinds: Collection[str], now: dt.datetime) -> None:
    """What no longer runs needs nobody's attention."""
    Alarm.objects.filter(kind__in=kinds, cleared_at=None).exclude(
        experiment__status="active", experiment__archived_at=None
    ).update(cleared_at=now)
