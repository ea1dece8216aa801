"""What has happened, told once: a line in the log, and whoever counts listens.

A line names no secret: facts are ids, dates, counts, digests. Services call tell_after_commit, so that what was rolled
back is not told. Listeners are few, registered at start, and only count.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import structlog
from django.db import transaction

Listener = Callable[[str, Mapping[str, Any]], None]

_logger = structlog.stdlib.get_logger("bandit")
_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    _listeners.append(listener)


def tell(event: str, **facts: Any) -> None:
    """``event`` is ``subject.what_happened``; the same names stand in docs/operations.md."""
    _logger.info(event, **facts)
    _count(event, facts)


def tell_problem(event: str, **facts: Any) -> None:
    """The same for what an operator should look at."""
    _logger.warning(event, **facts)
    _count(event, facts)


def tell_after_commit(event: str, **facts: Any) -> None:
    transaction.on_commit(partial(tell, event, **facts))


def _count(event: str, facts: Mapping[str, Any]) -> None:
    for listener in _listeners:
        listener(event, facts)
