"""Chunks of a sweep on workers of other machines. What they leave undone is decided here: a day without a decision is
worse than a slow one.
"""

import dataclasses
import datetime as dt
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from allocation.sweep.chunk import SweptChunk, SweptExperiment, sweep_chunk
from experiments.workers import NoWorkersError, ask_workers

logger = logging.getLogger(__name__)

TASK = "sweep"


def sweep_by_workers(
    chunks: Sequence[Sequence[int]], stopped: Callable[[], bool], *, target_date: dt.date, now: dt.datetime
) -> Iterator[SweptChunk]:
    """Queue each chunk and give what came of it; a chunk that failed or that nobody took is swept in this process.

    A chunk may then be swept twice. The decision log knows equal inputs: the second writes nothing.
    """
    left = dict(enumerate(chunks))
    when = {"target_date": target_date.isoformat(), "now": now.isoformat()}
    questions = [{"experiment_ids": list(ids), **when} for ids in chunks]
    try:
        for done in ask_workers(TASK, questions, stopped):
            if done.problem:
                logger.warning("sweep: a worker failed: %s", done.problem)
            else:
                del left[done.place]
                yield _chunk_of(done.result)
    except NoWorkersError as error:
        logger.warning("sweep: %s; it goes on without workers", error)
    for ids in left.values():
        if stopped():
            return
        yield sweep_chunk(experiment_ids=ids, target_date=target_date, now=now)


def sweep_ids(experiment_ids: list[int], target_date: str, now: str) -> dict[str, Any]:
    """Sweep a chunk in a worker, and return the SweptChunk as JSON."""
    found = sweep_chunk(
        experiment_ids=experiment_ids,
        target_date=dt.date.fromisoformat(target_date),
        now=dt.datetime.fromisoformat(now),
    )
    return dataclasses.asdict(found)


def _chunk_of(result: dict[str, Any]) -> SweptChunk:
    experiments = tuple(SweptExperiment(**one) for one in result["experiments"])
    return SweptChunk(**{**result, "experiments": experiments})
