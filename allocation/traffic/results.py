"""Results that traffic speaks against: none is recorded as decided that a sweep would have to take back."""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import replace

from django.utils import timezone

from allocation.alerts import has_result, is_ripe
from allocation.ledger.entries import Entry, compute_entries
from allocation.ledger.statements import VariantKey
from allocation.models import Kind
from allocation.traffic.alarms import alert_where_mismatched


def beside_mismatches(entries: Sequence[Entry], now: dt.datetime, watched: Collection[int]) -> list[Entry]:
    """Look at the traffic of each result that is new; raise the alarm where it does not arrive as split, and compute
    the decision again beside it.

    Data may have come since anybody looked. ``watched``: ids of the experiments whose traffic has just been looked at.
    Call with the experiments locked; three queries, if there is a result.
    """
    today = timezone.localdate(now)
    results = {
        entry.allocation.experiment_id: entry.inputs
        for entry in entries
        if entry.inputs is not None
        and is_ripe(entry.inputs)
        and entry.allocation.kind == Kind.OPTIMIZED
        and entry.allocation.target_date >= today
        and entry.allocation.experiment_id not in watched
        and has_result(entry)
    }
    keys = {pk: [VariantKey(v.id, v.key) for v in inputs.variants] for pk, inputs in results.items()}
    wrong = alert_where_mismatched(keys, now)
    again = compute_entries([replace(results[pk], mismatch=True) for pk in sorted(wrong)], now)
    other = {entry.allocation.experiment_id: entry for entry in again}
    return [other.get(entry.allocation.experiment_id, entry) for entry in entries]
