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
from allocation.traffic.alarms import settle_mismatches
from notifications.events import EventKind
from notifications.models import Alarm


def beside_mismatches(entries: Sequence[Entry], now: dt.datetime, looked_at: Collection[int]) -> list[Entry]:
    """Compare the traffic of each experiment that would be decided, has its first leader or an alarm, with its split;
    settle the alarm, and compute the decision again where that changes it.

    Data may have come since a sweep has looked. ``looked_at``: ids of the experiments whose traffic was compared
    before. Call with the experiments locked. Where there is nothing to compare, no query.
    """
    found = _to_compare([entry for entry in entries if entry.allocation.experiment_id not in looked_at], now)
    variants = {pk: [VariantKey(v.id, v.key) for v in one.variants] for pk, one in found.items()}
    settled = settle_mismatches(variants, now) if variants else {}
    changed = [
        replace(found[pk], mismatch=mismatch)
        for pk, mismatch in sorted(settled.items())
        if found[pk].mismatch != mismatch
    ]
    other = {entry.allocation.experiment_id: entry for entry in compute_entries(changed, now)}
    return [other.get(entry.allocation.experiment_id, entry) for entry in entries]


def _to_compare(entries: Sequence[Entry], now: dt.datetime) -> Mapping[int, AllocationInputs]:
    """The inputs, by experiment id, of decisions for today or later that somebody may act on, or not for an alarm."""
    today = timezone.localdate(now)
    current = {
        entry.allocation.experiment_id: entry
        for entry in entries
        if entry.allocation.kind == Kind.OPTIMIZED and entry.allocation.target_date >= today
    }
    results = {pk for pk, entry in current.items() if has_result(entry) and is_ripe(entry.inputs)}
    known = _with_a_leader([pk for pk in results if current[pk].allocation.state == State.LEADER])
    return {
        pk: entry.inputs
        for pk, entry in current.items()
        if entry.inputs and (entry.inputs.mismatch or pk in results - known)
    }


def _with_a_leader(ids: Sequence[int]) -> set[int]:
    """Those of the experiments of which a leader was reported; a sweep has looked at their traffic since."""
    if not ids:
        return set()
    reported = Alarm.objects.filter(experiment__in=ids, kind=EventKind.LEADER_FOUND, cleared_at=None)
    return set(reported.values_list("experiment_id", flat=True))
