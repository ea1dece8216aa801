"""Writes of requests that wait at the same moment, as one statement.

A small write is little work and a long wait for the disk. So a request that finds no other writing in this worker
writes for all that wait: it leads. Those that come meanwhile wait for the next group, which one of them leads. Each is
answered once its group is committed: nothing is promised earlier than by a statement of its own, and a single caller
waits for nobody. A group that the statement refuses is taken apart: each is tried alone, and fails alone. Where the
database goes away, none of the group was acknowledged, and each is answered so.

A group takes an experiment once, and callers of one name on one day: the day's line then counts each call.

Large writes take turns in a worker instead. Many at once wait for each other's locks, and each holds on to old versions
of rows that PostgreSQL would clear away: with 15 at once it works twice as long for each as with four.
"""

import datetime as dt
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections

from experiments.audit.intake import IntakeLine
from experiments.database.locks import OneAtATime
from experiments.ingestion.upsert import PlacedCounts, recorded_at_once

# Rows of a group: a larger write gains nothing from company.
_MOST_ROWS = 200


class Write(NamedTuple):
    """The rows of one request, checked; its experiments, and the moment and the line of the day that it counts in."""

    rows: Sequence[PlacedCounts]
    experiment_ids: Sequence[int]
    now: dt.datetime
    line: IntakeLine | None


def _held() -> threading.Lock:
    """Return a lock for one that waits and one that wakes it: an Event has a lock for each who waits, and more."""
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass
class _Waiting:
    """A write on its way, and what became of it: it leads a group, is written, goes alone, or failed by an error."""

    write: Write
    asleep: threading.Lock = field(default_factory=_held)
    leads: bool = False
    is_written: bool = False
    goes_alone: bool = False
    error: Exception | None = None


class Combiner:
    """Leads writes in groups. ``act`` writes some at once, all or none, and says whether it did."""

    def __init__(self, act: Callable[[Sequence[Write]], bool]) -> None:
        self._act = act
        self._guard = threading.Lock()
        self._queue: list[_Waiting] = []
        self._is_led = False

    def write(self, write: Write) -> bool:
        """Return True once the write is committed, False where it has to be tried in another way."""
        own = _Waiting(write)
        self._lead_or_queue(own)
        if not own.leads:
            own.asleep.acquire()
        if own.leads:
            self._lead(own)
        if own.error is not None:
            raise own.error
        return self._act([write]) if own.goes_alone else own.is_written

    def _lead_or_queue(self, own: _Waiting) -> None:
        with self._guard:
            own.leads = not self._is_led
            self._is_led = True
            if not own.leads:
                self._queue.append(own)

    def _lead(self, own: _Waiting) -> None:
        """Write for all that wait now; then wake them, and the one that leads the next group."""
        with self._guard:
            group, self._queue = _group(own, self._queue)
        try:
            self._write_group(group)
        finally:
            with self._guard:
                following = self._queue.pop(0) if self._queue else None
                self._is_led = following is not None
            if following is not None:
                following.leads = True
                following.asleep.release()
            for one in group[1:]:
                one.asleep.release()

    def _write_group(self, group: Sequence[_Waiting]) -> None:
        is_written = False
        error: Exception | None = None
        try:
            is_written = self._act([one.write for one in group])
        except (OperationalError, InterfaceError) as away:
            error = away
        except Exception as fault:
            error = fault if len(group) == 1 else None
        for one in group:
            one.is_written, one.error = is_written, error
            one.goes_alone = len(group) > 1 and not is_written and error is None


def _group(first: _Waiting, queue: Sequence[_Waiting]) -> tuple[list[_Waiting], list[_Waiting]]:
    """Part those that can be written with the first one from those that wait on."""
    group, rest = [first], []
    taken, rows = set(first.write.experiment_ids), len(first.write.rows)
    for one in queue:
        size = rows + len(one.write.rows)
        if (
            one.write.line == first.write.line
            and size <= _MOST_ROWS
            and taken.isdisjoint(one.write.experiment_ids)
        ):
            group.append(one)
            taken.update(one.write.experiment_ids)
            rows = size
        else:
            rest.append(one)
    return group, rest


def _write_at_once(writes: Sequence[Write]) -> bool:
    rows = [row for write in writes for row in write.rows]
    ids = sorted({pk for write in writes for pk in write.experiment_ids})
    return recorded_at_once(rows, ids, max(write.now for write in writes), writes[0].line)


_combiner = Combiner(_write_at_once)
_large_writes = OneAtATime(patience=1)


def recorded_in_company(write: Write) -> bool:
    """Record at once, with what other threads of this worker want to; as recorded_at_once does.

    Within a transaction it cannot: the group would be committed by another's.
    """
    here = connections[DEFAULT_DB_ALIAS]
    if here.vendor != "postgresql" or here.in_atomic_block:
        return _write_at_once([write])
    if len(write.rows) > _MOST_ROWS // 2:
        with _large_writes.turn():
            return _write_at_once([write])
    return _combiner.write(write)
