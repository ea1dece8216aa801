"""Which new decisions are news: changed splits, leaders, experiments that can end.

Called in the transaction that records the decisions, so that a notification is kept or lost together with what it is
about. No alarm rests on less than ALARM_GRACE_DAYS days of data and ALARM_MIN_IMPRESSIONS impressions.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.utils import timezone

from allocation.inputs import AllocationInputs
from allocation.ledger import Entry
from allocation.models import Allocation, AllocationShare, State
from notifications.alarms import ActiveConditions, sync_alarms
from notifications.models import Alarm, Endpoint, EventKind
from notifications.outbox import NewEvent, queue

_ALARMS = (Alarm.Kind.LEADER_FOUND, Alarm.Kind.EXPERIMENT_DECIDED)


def alert_on_decisions(entries: Sequence[Entry], now: dt.datetime) -> None:
    """Queue what is news in new entries of the decision log. Decisions for past days are not."""
    today = timezone.localdate(now)
    current = [entry for entry in entries if entry.allocation.target_date >= today]
    if not current:
        return
    experiments = {e.allocation.experiment_id: e.allocation.experiment for e in current}
    alarms = sync_alarms(experiments, _ALARMS, _conditions(current), now)
    queue([*_changes(current), *alarms], now)


def has_enough_data(days: int, impressions: float) -> bool:
    """An alarm that rests on less would be chance."""
    return days >= settings.ALARM_GRACE_DAYS and impressions >= settings.ALARM_MIN_IMPRESSIONS


def _conditions(entries: Sequence[Entry]) -> ActiveConditions:
    """Each experiment's conditions that hold now; None where it is too early to raise an alarm."""
    active: dict[tuple[int, str], dict[str, Any] | None] = {}
    for entry in entries:
        row = entry.allocation
        facts = _leader_facts(entry) if _is_ripe(entry.inputs) else None
        if row.state in {State.LEADER, State.DECIDED}:
            active[row.experiment_id, Alarm.Kind.LEADER_FOUND] = facts
        if row.state == State.DECIDED:
            active[row.experiment_id, Alarm.Kind.EXPERIMENT_DECIDED] = facts
    return active


def _is_ripe(inputs: AllocationInputs | None) -> bool:
    return inputs is not None and has_enough_data(inputs.days_with_data, inputs.impressions_so_far)


def _leader_facts(entry: Entry) -> dict[str, Any]:
    leader = max(entry.shares, key=lambda share: share.probability_best or 0.0)
    return {
        "target_date": entry.allocation.target_date.isoformat(),
        "leader": leader.variant.key,
        "probability_best": leader.probability_best,
        "value_remaining": entry.allocation.value_remaining,
    }


def _changes(entries: Sequence[Entry]) -> list[NewEvent]:
    """An event for each split that differs from the one in force until now; no query if no endpoint wants them."""
    endpoints = Endpoint.objects.filter(is_active=True)
    if not any(endpoint.wants(EventKind.ALLOCATION_CHANGED) for endpoint in endpoints):
        return []
    before = _shares_before([entry.allocation for entry in entries])
    changed = []
    for entry in entries:
        row = entry.allocation
        shares = {share.variant.key: float(share.share) for share in entry.shares}
        if shares != before.get(row.experiment_id):
            data = _change_facts(row, shares, before.get(row.experiment_id))
            changed.append(NewEvent(EventKind.ALLOCATION_CHANGED, row.experiment, data))
    return changed


def _shares_before(rows: Sequence[Allocation]) -> dict[int, dict[str, float]]:
    """The shares in force until now, by experiment id and variant key; one query."""
    earlier = Allocation.objects.exclude(pk__in=[row.pk for row in rows])
    last = earlier.newest_of([row.experiment_id for row in rows], rows[0].target_date)
    shares: defaultdict[int, dict[str, float]] = defaultdict(dict)
    found = AllocationShare.objects.filter(allocation__in=last.values("pk"))
    for pk, key, share in found.values_list("allocation__experiment_id", "variant__key", "share"):
        shares[pk][key] = float(share)
    return dict(shares)


def _change_facts(
    row: Allocation, shares: dict[str, float], before: dict[str, float] | None
) -> dict[str, Any]:
    return {
        "target_date": row.target_date.isoformat(),
        "revision": row.revision,
        "kind": str(row.kind),
        "state": str(row.state),
        "reason": row.reason,
        "shares": shares,
        "previous_shares": before,
    }
