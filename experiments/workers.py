"""Work for other processes and machines, through a broker; none of it where CELERY_BROKER_URL is not set.

A task names a function of the project (bandit_project/workers/tasks.py has the list) and may run twice: its worker may
die after it has written and before it has said so, and then another begins again. So each is idempotent by itself.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from django.conf import settings

_PAUSE_SECONDS = 0.1
# After so long a silence the workers are asked whether they are there, and have so long to answer.
_SILENT_SECONDS, _PING_SECONDS = 10.0, 2.0
# A task that nobody has ended by then is dropped: one of another day, or one that kills each worker that takes it.
_WANTED_SECONDS = 6 * 3600
# Workers look every ten seconds for what dead ones had (bandit_project/workers), when they are not busy.
_LOOKS_EVERY = 20


class NoWorkersError(Exception):
    """The broker does not answer, no worker is there, or those that are have ended nothing for too long."""


class Done(NamedTuple):
    """A task that has ended: its place among those that were asked for, and its result, or what it failed with."""

    place: int
    result: Any
    problem: str = ""


def has_workers() -> bool:
    """Tell whether this installation has workers to ask."""
    return bool(settings.CELERY_BROKER_URL)


def ask_workers(
    task: str, questions: Sequence[Mapping[str, Any]], stopped: Callable[[], bool] = lambda: False
) -> Iterator[Done]:
    """Queue the task for each question, in JSON, and give what has ended as it ends.

    Once ``stopped`` answers True, nothing more is waited for; what is queued may still be done. Raises NoWorkersError.
    """
    from kombu.exceptions import OperationalError  # only an installation with workers has it
    from redis.exceptions import RedisError

    try:
        yield from _ask(task, questions, stopped)
    except (OperationalError, RedisError) as error:
        raise NoWorkersError(f"the broker does not answer: {error}") from error


def _ask(task: str, questions: Sequence[Mapping[str, Any]], stopped: Callable[[], bool]) -> Iterator[Done]:
    from celery import current_app

    def send(place: int) -> Any:
        return current_app.send_task(task, kwargs=questions[place], expires=_WANTED_SECONDS)

    waiting = {place: send(place) for place in range(len(questions))}
    heard_at = asked_at = time.monotonic()
    sent_again = False
    while waiting and not stopped():
        for place in [place for place, result in waiting.items() if result.ready()]:
            heard_at = asked_at = time.monotonic()
            yield _done(place, waiting.pop(place))
        if time.monotonic() - asked_at > _SILENT_SECONDS:
            if _is_overdue(time.monotonic() - heard_at, current_app):
                if sent_again:
                    raise NoWorkersError("no worker has ended what was queued twice")
                # A message is nobody's between the broker's answer and the worker's note: one that dies then loses it.
                waiting, sent_again, heard_at = (
                    {place: send(place) for place in waiting},
                    True,
                    time.monotonic(),
                )
            asked_at = time.monotonic()
        time.sleep(_PAUSE_SECONDS)


def _is_overdue(seconds: float, app: Any) -> bool:
    """Tell whether what a dead worker had should long have been ended by another; raise where no worker is there."""
    if not app.control.ping(timeout=_PING_SECONDS):
        raise NoWorkersError("no worker answers")
    return bool(seconds > 2 * settings.WORKER_RETRY_SECONDS + _LOOKS_EVERY)


def _done(place: int, result: Any) -> Done:
    value = result.result
    problem = "" if result.successful() else f"{type(value).__name__}: {value}"
    result.forget()
    return Done(place, value, problem)
