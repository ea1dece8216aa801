"""Chunks of a sweep in several processes, each with a connection of its own to the database.

This process reads what there is to do and what came of it, and a signal stops it alone: the others end the chunks that
they have begun. A process that dies takes its chunk with it, which is reported as failed and left for the next run.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial

from django.db import connection

from allocation.sweep.chunk import SweptChunk, failed_chunk, sweep_chunk
from experiments.database.processes import pool_of_processes

_DIED = "the process that decided it has died; it is decided by the next run"


Work = Callable[[Sequence[int]], SweptChunk]


def sweep_chunks(
    chunks: Iterable[Sequence[int]], *, jobs: int, target_date: dt.date, now: dt.datetime
) -> Iterator[SweptChunk]:
    """Sweep chunks one after the other, or with several ``jobs`` in as many processes; give each as it is done."""
    work = partial(_sweep, target_date=target_date, now=now)
    return map(work, chunks) if jobs == 1 else Processes(jobs, work).run(chunks)


def jobs_problem(jobs: int) -> str:
    """Say why there cannot be so many; blank where there can."""
    if jobs < 1:
        return "must be at least 1"
    if jobs > 1 and connection.vendor != "postgresql":
        return "must be 1 on SQLite, which has one writer at a time; PostgreSQL takes more"
    return ""


class Processes:
    """Processes that sweep chunks, each at most one at a time, so that a stop waits for few."""

    def __init__(self, jobs: int, work: Work) -> None:
        self._jobs = jobs
        self._work = work
        self._pool = pool_of_processes(jobs)
        self._at_work: dict[Future[SweptChunk], Sequence[int]] = {}

    def run(self, chunks: Iterable[Sequence[int]]) -> Iterator[SweptChunk]:
        try:
            for ids in chunks:
                self._begin(ids)
                if len(self._at_work) == self._jobs:
                    yield from self._done()
            while self._at_work:
                yield from self._done()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def _begin(self, ids: Sequence[int]) -> None:
        try:
            future = self._pool.submit(self._work, ids)
        except BrokenProcessPool:  # one died while it waited for work
            self._renew()
            future = self._pool.submit(self._work, ids)
        self._at_work[future] = ids

    def _renew(self) -> None:
        self._pool.shutdown()
        self._pool = pool_of_processes(self._jobs)

    def _done(self) -> Iterator[SweptChunk]:
        """Give what is done, once something is; raise where the database is away."""
        done, _others = wait(self._at_work, return_when=FIRST_COMPLETED)
        broken = any(isinstance(future.exception(), BrokenProcessPool) for future in done)
        # with one process all of them end
        for future in list(self._at_work) if broken else done:
            ids = self._at_work.pop(future)
            yield failed_chunk(ids, _DIED) if _has_died(future) else future.result()
        if broken:
            self._renew()


def _sweep(ids: Sequence[int], *, target_date: dt.date, now: dt.datetime) -> SweptChunk:
    return sweep_chunk(experiment_ids=ids, target_date=target_date, now=now)


def _has_died(future: Future[SweptChunk]) -> bool:
    return isinstance(future.exception(), BrokenProcessPool)
