"""Events of the service: one line in the log each, and a call of each subscriber.

A line names no secret: facts are ids, dates, counts, digests. Services call log_event_on_commit, so that what was
rolled back is not reported. Subscribers are few, registered at start, and only count.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import structlog
from django.db import connection, transaction

Listener = Callable[[str, Mapping[str, Any]], None]

_logger = structlog.stdlib.get_logger("bandit")
_listeners: list[Listener] = []


def subscribe(listener: Listener) -> None:
    _listeners.append(listener)


def request_id() -> str | None:
    """The id of the request being answered, which is in each of its lines; None outside of one."""
    found: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return found


def log_event(event: str, **facts: Any) -> None:
    """``event`` is ``subject.what_happened``; docs/operations.md lists the names."""
    _logger.info(event, **facts)
    _count(event, facts)


def log_problem_event(event: str, **facts: Any) -> None:
    """Log at WARNING what an operator should look at."""
    _logger.warning(event, **facts)
    _count(event, facts)


def log_event_on_commit(event: str, **facts: Any) -> None:
    """Log it once the transaction is committed, at once outside of one."""
    if connection.in_atomic_block:
        transaction.on_commit(partial(log_event, event, **facts))
    else:
        log_event(event, **facts)


def _count(event: str, facts: Mapping[str, Any]) -> None:
    for listener in _listeners:
        listener(event, facts)
