"""A whole sweep: what comes before the chunks, the chunks one after the other or in processes, what comes after."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil

from django.utils import timezone

from allocation.campaigns.guard_alerts import clear_where_over
from allocation.campaigns.schedule import complete_decided, follow_schedules
from allocation.ledger.statements import refresh_statistics
from allocation.sweep.chunk import SweptChunk
from allocation.sweep.processes import sweep_chunks
from experiments.database.away import is_away
from experiments.events import log_event
from experiments.models import Experiment, Status
from notifications.alarms import DATED_KINDS, clear_where_not_active
from notifications.events import EventKind

# Experiments of a chunk: what is asked about all of them at once.
CHUNK = 500
# Of a job among several.
_CHUNKS_EACH = 4


# Has chunks swept elsewhere, and gives what came of each; it ends early once the question is answered with True.
Spread = Callable[[Sequence[Sequence[int]], Callable[[], bool]], Iterator[SweptChunk]]


@dataclass(frozen=True)
class Sweep:
    """The result of a sweep, or of some of its chunks.

    ``computed``: experiments that are up to date; ``recorded``: new entries of the decision log. ``faults``: those of
    ours among what failed. ``unwatched``: chunks whose traffic could not be looked at. ``finished``: it was not stopped
    before its end, and looked at everything.
    """

    computed: int = 0
    recorded: int = 0
    failed: int = 0
    faults: int = 0
    unwatched: int = 0
    finished: bool = True

    @classmethod
    def of(cls, chunk: SweptChunk) -> "Sweep":
        unwatched = int(chunk.traffic_failed)
        return cls(chunk.computed, chunk.recorded, chunk.failed, chunk.faults, unwatched, not unwatched)

    def plus(self, other: "Sweep") -> "Sweep":
        return Sweep(
            self.computed + other.computed,
            self.recorded + other.recorded,
            self.failed + other.failed,
            self.faults + other.faults,
            self.unwatched + other.unwatched,
            self.finished and other.finished,
        )


def run_daily_sweep(
    *,
    target_date: dt.date,
    now: dt.datetime,
    report: Callable[[SweptChunk], object] = lambda chunk: None,
    stopped: Callable[[], bool] = lambda: False,
    jobs: int = 1,
    spread: Spread | None = None,
) -> Sweep:
    """Start and end what is due, sync the alarms about the traffic of all active experiments, decide, and complete what
    is to be once decided. On equal data nothing is written.

    ``report`` is called with each chunk as it comes; once ``stopped`` answers True the rest is left for the next run.
    With several ``jobs`` as many processes run the chunks (allocation.sweep.processes), with ``spread`` other machines.
    """
    problem = _try_to_begin(target_date, now)
    done, stops = Sweep(), _Stops(stopped)
    chunks = stops.until(chunks_to_sweep(jobs))
    sweeping = (
        spread(list(chunks), stops.now)
        if spread
        else sweep_chunks(chunks, jobs=jobs, target_date=target_date, now=now)
    )
    for chunk in sweeping:
        report(chunk)
        done = done.plus(Sweep.of(chunk))
        stops.ask()
    if stops.has_stopped:
        return replace(done, finished=False)
    if problem is not None:
        raise problem
    finish_sweep(target_date=target_date, now=now, done=done)
    return done


def begin_sweep(*, target_date: dt.date, now: dt.datetime) -> None:
    """Start and end what is due, and clear the alarms of what no longer runs.

    A mismatch stays: the result of what ended beside it is doubtful for good.
    """
    if _is_current(target_date, now):
        follow_schedules(now=now)
        clear_where_not_active((EventKind.NO_DATA, *DATED_KINDS), now)
        clear_where_over(now)


def chunks_to_sweep(jobs: int = 1) -> list[list[int]]:
    """Ids of the active experiments in chunks: so many that each of several jobs has work until the end."""
    ids = list(Experiment.objects.filter(status=Status.ACTIVE).order_by("pk").values_list("pk", flat=True))
    size = CHUNK if jobs == 1 else min(CHUNK, ceil(len(ids) / (_CHUNKS_EACH * jobs)))
    return [ids[start : start + size] for start in range(0, len(ids), size)] if ids else []


def finish_sweep(*, target_date: dt.date, now: dt.datetime, done: Sweep) -> None:
    """Complete what is to be once decided; not while there is traffic that could not be looked at.

    ``done`` is the sum of all chunks.
    """
    if done.recorded:
        refresh_statistics()
    if _is_current(target_date, now) and not done.unwatched:
        complete_decided(target_date=target_date, now=now)
    log_event(
        "sweep.finished", target_date=target_date.isoformat(), recorded=done.recorded, failed=done.failed
    )


class _Stops:
    """Ask whether to stop, between chunks; a stop stays one."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        self._stopped = stopped
        self.has_stopped = False

    def ask(self) -> None:
        self.has_stopped = self.has_stopped or self._stopped()

    def now(self) -> bool:
        self.ask()
        return self.has_stopped

    def until(self, chunks: Iterable[Sequence[int]]) -> Iterator[Sequence[int]]:
        for chunk in chunks:
            self.ask()
            if self.has_stopped:
                return
            yield chunk


def _is_current(target_date: dt.date, now: dt.datetime) -> bool:
    """The traffic of a past day is no news, and an end is for now: tomorrow's would leave today's split as it is."""
    return target_date == timezone.localdate(now)


def _try_to_begin(target_date: dt.date, now: dt.datetime) -> Exception | None:
    """Answer the fault, if there is one, to be raised once everything is decided: a fault there stops no decision."""
    try:
        begin_sweep(target_date=target_date, now=now)
    except Exception as error:
        if is_away(error):
            raise
        return error
    return None
