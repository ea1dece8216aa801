"""Commands whose own words are all that a person at a terminal reads."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

_EVENTS = logging.getLogger("bandit")


class PlainCommand(BaseCommand):
    """A command that prints what it has done: the log does not repeat it, unless LOG_LEVEL is set."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        with _at_level(settings.COMMAND_LOG_LEVEL):
            return super().execute(*args, **options)


@contextmanager
def _at_level(level: str) -> Iterator[None]:
    before = _EVENTS.level
    _EVENTS.setLevel(level)
    try:
        yield
    finally:
        _EVENTS.setLevel(before)
