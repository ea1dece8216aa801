"""Answers that a worker keeps: read from its memory, else made by one thread while others wait."""

from collections.abc import Callable
from typing import Any

from django.core.cache import caches

from experiments.database.locks import Turns

_turns = Turns()


def kept(call: str, key: str, make: Callable[[], Any]) -> Any:
    """Return the answer of a call under its key (``answer_key``), which changes with whatever could change the answer.

    On a cold cache the threads of a worker that ask for the same wait for the first of them, and get what it made.
    """
    if (answer := caches[call].get(key)) is not None:
        return answer
    with _turns.take(key) as has_waited:
        if has_waited and (answer := caches[call].get(key)) is not None:
            return answer
        answer = make()
        caches[call].set(key, answer)
        return answer
