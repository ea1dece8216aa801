"""One chunk of the sweep: the unit that runs here, in another process or on another machine.

It may run twice, at the same time or again: the decision log knows equal inputs, and alarms are raised once. A constant
number of statements serves the whole chunk, and a single one where nothing is new.
"""

import datetime as dt
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from allocation.engine.settings import LONGEST_WINDOW
from allocation.exceptions import AllocationFailedError
from allocation.ledger.entries import Entry
from allocation.services import Outcome, compute_allocations
from allocation.sweep.marks import Active, active_of, mark_as_swept
from allocation.traffic.alarms import try_to_alert
from experiments.collecting import collecting_seldom
from experiments.database.away import is_away
from experiments.events import log_problem_event

logger = logging.getLogger(__name__)

# Decided in one transaction: so many experiments, and so many counts of days and variants if each has a whole window,
# which is about 30 MB and two seconds of a lock that others may wait for.
_AT_ONCE = 200
_COUNTS_AT_ONCE = 1 << 17


@dataclass(frozen=True)
class SweptExperiment:
    """An experiment that was decided, or why it was not. ``is_new``: an entry of the decision log was written.

    ``words`` is the split or the error; ``error`` is the error's code, blank where there is none.
    """

    experiment_id: int
    words: str
    is_new: bool = False
    error: str = ""


@dataclass(frozen=True)
class SweptChunk:
    """The result of a chunk; plain data, which can be sent as JSON.

    ``unchanged``: experiments with nothing new since they were decided. ``traffic_failed``: their alarms about traffic
    could not be looked at, and wait for the next run.
    """

    experiments: tuple[SweptExperiment, ...] = ()
    unchanged: int = 0
    traffic_failed: bool = False

    @property
    def computed(self) -> int:
        """Experiments that are up to date now."""
        return self.unchanged + sum(not one.error for one in self.experiments)

    @property
    def recorded(self) -> int:
        """New entries of the decision log."""
        return sum(one.is_new for one in self.experiments)

    @property
    def failed(self) -> int:
        return sum(bool(one.error) for one in self.experiments)

    @property
    def faults(self) -> int:
        """Faults of ours, which the next run may not have; other errors are for people to repair."""
        return self.traffic_failed + sum(one.error == AllocationFailedError.code for one in self.experiments)


@collecting_seldom()
def sweep_chunk(*, experiment_ids: Sequence[int], target_date: dt.date, now: dt.datetime) -> SweptChunk:
    """Look for alarms about the traffic of these experiments, then decide for those that are active.

    One that fails stops no other. Traffic comes first: no result is news while it does not arrive as split. Raises
    OperationalError or InterfaceError where the database is away: the chunk is to be run again.
    """
    active = active_of(experiment_ids, target_date)
    changed = [one for one in active if not one.is_unchanged]
    is_current = target_date == timezone.localdate(now)
    watched = [one.id for one in changed if not one.is_archived]
    looked = try_to_alert(watched, target_date, now) if is_current else set()
    seen = {one.id: one for one in changed if is_current and (one.id in looked or one.is_archived)}
    how = _How(target_date, now, seen)
    decided = [one for ids in batches(changed) for one in _decide(ids, how)]
    failed = is_current and bool(watched) and not looked
    return SweptChunk(tuple(decided), unchanged=len(active) - len(changed), traffic_failed=failed)


def failed_chunk(experiment_ids: Sequence[int], why: str) -> SweptChunk:
    """The result of a chunk whose process ended before it did."""
    error = AllocationFailedError(why)
    return SweptChunk(tuple(swept(Outcome(pk, error=error)) for pk in experiment_ids))


def batches(active: Iterable[Active]) -> Iterator[list[int]]:
    """Ids that are decided in one transaction; an experiment that is too large by itself goes alone."""
    batch: list[int] = []
    counts = 0
    for one in active:
        own = one.variants * LONGEST_WINDOW
        if batch and (len(batch) == _AT_ONCE or counts + own > _COUNTS_AT_ONCE):
            yield batch
            batch, counts = [], 0
        batch.append(one.id)
        counts += own
    if batch:
        yield batch


class _How(NamedTuple):
    """``seen``: the experiments whose traffic was looked at, which need not be again while nothing changes."""

    target_date: dt.date
    now: dt.datetime
    seen: Mapping[int, Active]


def _decide(ids: Sequence[int], how: _How) -> list[SweptExperiment]:
    outcomes = _compute(ids, how)
    for outcome in outcomes:
        if outcome.error is not None:
            log_problem_event("allocation.failed", experiment=outcome.experiment_id, code=outcome.error.code)
    return [swept(outcome) for outcome in outcomes]


def _compute(ids: Sequence[int], how: _How) -> list[Outcome]:
    """Decide; a batch that fails as a whole is taken apart: a fault in one experiment must not stop the others."""
    try:
        with transaction.atomic():
            outcomes = compute_allocations(
                experiment_ids=ids,
                target_date=how.target_date,
                now=how.now,
                looked_at={pk: one.data_version for pk, one in how.seen.items()},
            )
            mark_as_swept([one.entry for one in outcomes if one.entry], how.target_date, how.seen)
            return outcomes
    except Exception as error:
        if is_away(error):
            raise
        logger.exception("allocation failed for %s", ids[0] if len(ids) == 1 else f"{len(ids)} experiments")
        if len(ids) == 1:
            return [Outcome(ids[0], error=AllocationFailedError(f"{type(error).__name__}: {error}"))]
    return [outcome for pk in ids for outcome in _compute([pk], how)]


def swept(outcome: Outcome) -> SweptExperiment:
    pk, entry, error = outcome.experiment_id, outcome.entry, outcome.error
    if entry is None:
        code = error.code if error else AllocationFailedError.code
        return SweptExperiment(pk, str(error), error=code)
    return SweptExperiment(pk, split_in_words(entry), entry.is_new)


def split_in_words(entry: Entry) -> str:
    """The line of a decision for who runs the command."""
    split = ", ".join(f"{share.variant.name} {share.share}" for share in entry.shares)
    return f"{split} (revision {entry.allocation.revision}: {entry.allocation.reason})"
