"""Results that traffic speaks against: none is recorded as decided that a sweep would have to take back."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from django.utils import timezone

from allocation.alerts import has_result, is_ripe
from allocation.ledger.entries import Entry, compute_entries
from allocation.ledger.inputs import AllocationInputs
from allocation.ledger.statements import VariantKey
from allocation.models import Kind, State
from allocation.traffic.alarms import alert_where_mismatched
from notifications.events import EventKind
from notifications.models import Alarm


def beside_mismatches(entries: Sequence[Entry], now: dt.datetime, looked_at: Collection[int]) -> list[Entry]:
    """Compare the traffic of each experiment that would be decided, or has its first leader, with its split; raise the
    alarm where it does not arrive so, and compute that decision again beside it.

    Data may have come since a sweep has looked. ``looked_at``: ids of the experiments whose traffic was compared just
    now. Call with the experiments locked. Where there is nothing to compare, no query.
    """
    results = _results_of(entries, timezone.localdate(now))
    variants = {
        pk: [VariantKey(v.id, v.key) for v in inputs.variants]
        for pk, inputs in results.items()
        if pk not in looked_at
    }
    wrong = alert_where_mismatched(variants, now) if variants else ()
    again = compute_entries([replace(results[pk], mismatch=True) for pk in sorted(wrong)], now)
    other = {entry.allocation.experiment_id: entry for entry in again}
    return [other.get(entry.allocation.experiment_id, entry) for entry in entries]


def _results_of(entries: Sequence[Entry], today: dt.date) -> Mapping[int, AllocationInputs]:
    """The inputs of the results for today or later that somebody may act on, by experiment id."""
    found = {
        entry.allocation.experiment_id: entry
        for entry in entries
        if entry.allocation.kind == Kind.OPTIMIZED
        and entry.allocation.target_date >= today
        and is_ripe(entry.inputs)
        and has_result(entry)
    }
    known = _with_a_leader([pk for pk, entry in found.items() if entry.allocation.state == State.LEADER])
    return {pk: entry.inputs for pk, entry in found.items() if entry.inputs and pk not in known}


def _with_a_leader(ids: Sequence[int]) -> set[int]:
    """Those of the experiments of which a leader was reported; a sweep has looked at their traffic since."""
    if not ids:
        return set()
    reported = Alarm.objects.filter(experiment__in=ids, kind=EventKind.LEADER_FOUND, cleared_at=None)
    return set(reported.values_list("experiment_id", flat=True))
