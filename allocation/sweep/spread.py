"""Chunks of a sweep on workers of other machines. What they leave undone is decided here: a day without a decision is
worse than a slow one.
"""

import dataclasses
import datetime as dt
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.utils import timezone

from allocation.sweep.chunk import SweptChunk, SweptExperiment, sweep_chunk
from experiments.selectors import today
from experiments.workers import NoWorkersError, ask_workers

logger = logging.getLogger(__name__)

TASK = "sweep"
_A_DAY = dt.timedelta(days=1)


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
    """Sweep a chunk in a worker, and return the SweptChunk as JSON.

    Raises ValueError where it is asked for another day: a decision for next year, which anybody who can write to the
    broker could ask for, would have all before it refused.
    """
    date, moment = dt.date.fromisoformat(target_date), dt.datetime.fromisoformat(now)
    if not (_is_near(date) and _is_near(timezone.localdate(moment))):
        raise ValueError(f"asked to decide for {target_date} at {now}, which is not about today")
    return dataclasses.asdict(sweep_chunk(experiment_ids=experiment_ids, target_date=date, now=moment))


def _is_near(date: dt.date) -> bool:
    """Tell whether a task of this date may still wait, or a clock be ahead."""
    return abs(date - today()) <= _A_DAY


def _chunk_of(result: dict[str, Any]) -> SweptChunk:
    experiments = tuple(SweptExperiment(**one) for one in result["experiments"])
    return SweptChunk(**{**result, "experiments": experiments})
