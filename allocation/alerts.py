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

from allocation.ledger.entries import Entry
from allocation.ledger.inputs import AllocationInputs
from allocation.models import Allocation, AllocationShare, State, is_comparison, leading_share
from allocation.sample_ratio import SampleRatioResult
from notifications.alarms import ActiveConditions, sync_alarms
from notifications.events import EventKind
from notifications.outbox import NewEvent, active_endpoints, queue

_BEFORE = dt.timedelta(days=28)
_ALARMS = (EventKind.LEADER_FOUND, EventKind.EXPERIMENT_DECIDED, EventKind.RATES_CHANGED)


def alert_on_decisions(entries: Sequence[Entry], now: dt.datetime) -> None:
    """Queue what is news in new entries of the decision log. Decisions for past days are not."""
    today = timezone.localdate(now)
    current = [entry for entry in entries if entry.allocation.target_date >= today]
    if not current:
        return
    conditions = _conditions(current)
    concerned = {pk for pk, _kind in conditions}
    experiments = {e.allocation.experiment_id: e.allocation.experiment for e in current}
    # nothing is asked of the others: no alarm has been raised about them, and none is now
    settled = {pk: e for pk, e in experiments.items() if pk in concerned or getattr(e, "has_alarms", True)}
    alarms = sync_alarms(settled, _ALARMS, conditions, now)
    queue([*split_changes(current), *alarms], now)


def has_enough_data(days: int, impressions: float) -> bool:
    """An alarm that rests on less would be chance."""
    return days >= settings.ALARM_GRACE_DAYS and impressions >= settings.ALARM_MIN_IMPRESSIONS


def _conditions(entries: Sequence[Entry]) -> ActiveConditions:
    """List the conditions that hold now, by experiment and kind; None where it is too early for an alarm."""
    active: dict[tuple[int, str], dict[str, Any] | None] = {}
    for entry in entries:
        row = entry.allocation
        if has_result(entry):
            facts = _leader_facts(entry) if is_ripe(entry.inputs) else None
            active[row.experiment_id, EventKind.LEADER_FOUND] = facts
            if row.state == State.DECIDED:
                active[row.experiment_id, EventKind.EXPERIMENT_DECIDED] = facts
        if row.rates_changed_on and entry.inputs:
            active[row.experiment_id, EventKind.RATES_CHANGED] = (
                _change_of_rates(row, entry.inputs) if is_ripe(entry.inputs) else None
            )
    return active


def has_result(entry: Entry) -> bool:
    """True where the decision names a leader, or is ready to be acted on."""
    return entry.allocation.state in {State.LEADER, State.DECIDED} and is_comparison(entry.shares)


def is_ripe(inputs: AllocationInputs | None) -> bool:
    """Return False with little data, and while traffic does not arrive as split: no result is news then."""
    if inputs is None or inputs.mismatch:
        return False
    return has_enough_data(inputs.days_with_data, inputs.impressions_so_far)


def is_alarming(ratio: SampleRatioResult | None) -> bool:
    """True where traffic does not arrive as split, on data enough to say so."""
    return ratio is not None and ratio.mismatch and has_enough_data(ratio.days, sum(ratio.observed.values()))


def _change_of_rates(row: Allocation, inputs: AllocationInputs) -> dict[str, Any]:
    """Each variant's rate in the four weeks before the change, and since, as counted; days must be mature."""
    since, last = row.rates_changed_on, row.data_through
    if since is None or last is None:
        return {}
    return {
        "since": since.isoformat(),
        "rates_before": _rates(inputs, since - _BEFORE, since - dt.timedelta(days=1)),
        "rates_since": _rates(inputs, since, last),
    }


def _rates(inputs: AllocationInputs, start: dt.date, end: dt.date) -> dict[str, float | None]:
    found = inputs.table.between(start, end).measures
    trials, successes = inputs.reward.trials(found).sum(axis=0), inputs.reward.successes(found).sum(axis=0)
    return {
        variant.key: float(successes[i] / trials[i]) if trials[i] else None
        for i, variant in enumerate(inputs.variants)
    }


def _leader_facts(entry: Entry) -> dict[str, Any]:
    leader = leading_share(entry.shares)
    return {
        "target_date": entry.allocation.target_date.isoformat(),
        "leader": leader.variant.key if leader else None,
        "probability_best": leader.probability_best if leader else None,
        "value_remaining": entry.allocation.value_remaining,
    }


def split_changes(entries: Sequence[Entry]) -> list[NewEvent]:
    """An event for each split that differs from the one in force until now; no query if no endpoint wants them."""
    if not any(getattr(entry.allocation.experiment, "is_heard", True) for entry in entries):
        return []
    if not any(endpoint.wants(EventKind.ALLOCATION_CHANGED) for endpoint in active_endpoints()):
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
