"""Does every recorded decision follow from the inputs recorded with it? Reads only.

Each entry of the decision log is computed again from its own inputs, by the rules of the engine that made it, and
compared with what is stored, to the last digit of every share. What explains a share is compared within the
rounding of one sum.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from allocation.engine import ENGINE_VERSIONS
from allocation.ledger.entries import (
    Entry,
    compute_entries,
)
from allocation.ledger.inputs import AllocationInputs, digest
from allocation.models import CLOSING, Allocation, AllocationShare

# Whole inputs in memory at once: with 100 variants and a year of days each takes about 10 MB.
_CHUNK = 10
_CLOSE = 1e-9
_OF_ALLOCATIONS = ("kind", "state", "window_start", "window_end", "data_through", "value_remaining",
                   "window_impressions", "window_clicks", "dispersion", "rates_changed_on", "gained_over_even",
                   "given_up", "gain_error", "harms")  # fmt: skip
_OF_SHARES = ("share", "previous_share", "trials", "successes", "effective_trials", "evidence_kept",
              "posterior_alpha", "posterior_beta", "rate", "rate_low", "rate_high", "probability_best",
              "expected_loss", "missing_trials", "target", "bound", "value_sum", "effective_orders",
              "largest_part")  # fmt: skip


@dataclass(frozen=True)
class Verified:
    """The result for one entry: each difference in words. ``is_older``: made by an engine that is not known here."""

    allocation: Allocation
    differences: list[str] = field(default_factory=list)
    is_older: bool = False


def verify_ledger() -> Iterator[Verified]:
    """Every entry of every decision log, in the order they were written; a chunk of them in memory at a time."""
    rows = Allocation.objects.order_by("pk").prefetch_related("shares__variant").iterator(chunk_size=_CHUNK)
    while chunk := list(islice(rows, _CHUNK)):
        yield from _verify(chunk)


def _verify(stored: Sequence[Allocation]) -> Iterator[Verified]:
    comparable = [row for row in stored if row.engine_version in ENGINE_VERSIONS]
    inputs = [AllocationInputs.from_json(row.recorded_inputs, row.experiment_id) for row in comparable]
    computed = compute_entries(inputs, comparable[0].created_at) if comparable else []
    found = {
        row.pk: Verified(row, list(_differences(row, entry)))
        for row, entry in zip(comparable, computed, strict=True)
    }
    for row in stored:
        yield found.get(row.pk, Verified(row, is_older=True))


def _differences(stored: Allocation, computed: Entry) -> Iterator[str]:
    if digest(stored.recorded_inputs) != stored.inputs_digest:
        yield "the recorded inputs do not have the recorded digest"
    yield from _fields(stored, computed.allocation, _OF_ALLOCATIONS, "")
    recorded = {share.variant_id: share for share in stored.shares.all()}
    expected = {share.variant_id: share for share in computed.shares}
    for variant_id in sorted(recorded.keys() | expected.keys()):
        if variant_id not in recorded or variant_id not in expected:
            yield f"variant {variant_id}: {'not recorded' if variant_id in expected else 'recorded, not computed'}"
            continue
        share = recorded[variant_id]
        yield from _fields(share, expected[variant_id], _columns(stored, share), f"{share.variant.key}: ")


def _columns(stored: Allocation, share: AllocationShare) -> tuple[str, ...]:
    """Decisions that closed an experiment explained nothing at first: then the share alone is compared."""
    said_nothing = share.rate is None and share.probability_best is None
    return ("share", "bound") if stored.kind in CLOSING and said_nothing else _OF_SHARES


def _fields(stored: object, computed: object, names: tuple[str, ...], where: str) -> Iterator[str]:
    for name in names:
        was, becomes = getattr(stored, name), getattr(computed, name)
        if not _same(was, becomes):
            yield f"{where}{name} is recorded as {was}, computed as {becomes}"


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=_CLOSE)
    return one == other
