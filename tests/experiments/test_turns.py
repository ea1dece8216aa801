"""Turns of a worker's threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from experiments.database.locks import OneAtATime, Turns

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


def test_one_at_a_time__another_has_the_turn__waits_until_it_is_over() -> None:
    lock, waiting = OneAtATime(patience=10), threading.Event()
    over: list[str] = []

    def second() -> bool:
        waiting.set()
        with lock.turn() as has_turn:
            over.append("second")
        return has_turn

    with ThreadPoolExecutor(1) as pool:
        with lock.turn() as first:
            answer = pool.submit(second)
            waiting.wait(10)
            over.append("first")
        assert (first, answer.result()) == (True, True)

    assert over == ["first", "second"]


def test_one_at_a_time__another_is_held_up__goes_on_without_it_and_leaves_it_its_turn() -> None:
    lock = OneAtATime(patience=0.001)

    with lock.turn() as first:
        with lock.turn() as second:
            assert (first, second) == (True, False)
        with lock.turn() as third:
            assert third is False
    with lock.turn() as fourth:
        assert fourth is True
