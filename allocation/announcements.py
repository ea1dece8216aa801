"""Who is told of new decisions: the log, and those who asked at start-up.

Listeners run inside the transaction that records the decisions, so that what they write is kept or lost together
with them (the outbox of the notifications). They may not fail for a reason of their own: that would undo decisions.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from allocation.models import Allocation, AllocationShare
from experiments.events import log_event_on_commit


class NewDecision(NamedTuple):
    allocation: Allocation
    shares: list[AllocationShare]


DecisionListener = Callable[[Sequence[NewDecision], dt.datetime], None]
SweepListener = Callable[[dt.date, dt.datetime], None]

_on_decisions: list[DecisionListener] = []
_on_sweep: list[SweepListener] = []


def on_decisions(listener: DecisionListener) -> None:
    """Called with every batch of new ledger entries."""
    _on_decisions.append(listener)


def on_sweep(listener: SweepListener) -> None:
    """Called once all active experiments have been computed for a date."""
    _on_sweep.append(listener)


def announce_decisions(
    rows: Sequence[Allocation], shares: Sequence[AllocationShare], now: dt.datetime, seconds: float
) -> None:
    """``seconds``: how long the batch took to decide; each line names its part."""
    of_row: dict[int, list[AllocationShare]] = {row.pk: [] for row in rows}
    for share in shares:
        of_row[share.allocation.pk].append(share)
    decisions = [NewDecision(row, of_row[row.pk]) for row in rows]
    for listener in _on_decisions:
        listener(decisions, now)
    for decision in decisions:
        _log(decision, 1000 * seconds / len(decisions))


def announce_sweep(target_date: dt.date, now: dt.datetime) -> None:
    for listener in _on_sweep:
        listener(target_date, now)


def _log(decision: NewDecision, milliseconds: float) -> None:
    row = decision.allocation
    log_event_on_commit(
        "allocation.computed",
        experiment=row.experiment_id,
        target_date=row.target_date.isoformat(),
        revision=row.revision,
        kind=str(row.kind),
        state=str(row.state),
        inputs_digest=row.inputs_digest,
        engine_version=row.engine_version,
        bounds=dict(Counter(str(share.bound) for share in decision.shares)),
        duration_ms=round(milliseconds, 2),
    )
