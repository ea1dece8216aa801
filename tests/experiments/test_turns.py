"""Turns of a worker's threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from experiments.database.locks import Turns

pytestmark = pytest.mark.database_free


def test_turns__several_threads_want_the_same__one_computes_and_the_others_learn_that_they_waited() -> None:
    turns, computed, begun, go_on = Turns(), [], threading.Event(), threading.Event()

    def want() -> bool:
        with turns.take("answer") as has_waited:
            if not has_waited:
                begun.set()
                go_on.wait(10)
                computed.append("answer")
            return has_waited

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(want)
        begun.wait(10)
        others = [pool.submit(want) for _ in range(3)]
        while turns._wanting["answer"] < 4:
            threading.Event().wait(0.001)
        go_on.set()

    assert (first.result(), [other.result() for other in others]) == (False, [True, True, True])
    assert computed == ["answer"]


def test_turns__another_name__does_not_wait() -> None:
    turns = Turns()

    with turns.take("one") as first, turns.take("other") as second:
        assert (first, second) == (False, False)


def test_turns__a_turn_that_fails__leaves_nothing_behind() -> None:
    turns = Turns()

    with pytest.raises(RuntimeError), turns.take("answer"):
        raise RuntimeError

    assert (dict(turns._locks), dict(turns._wanting)) == ({}, {})
