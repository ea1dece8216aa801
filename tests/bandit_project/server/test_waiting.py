"""A thread waits for its client's next request only while no other connection needs it."""

import fcntl
import resource
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from bandit_project.server.waiting import Waits
from tests.resilience.load import PATIENCE

pytestmark = pytest.mark.database_free

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    near, far = socket.socketpair()
    with closing(near), closing(far):
        yield near, far


def test_wait__of_a_client_that_sends__ends_with_its_bytes(pair: Pair) -> None:
    waits = Waits(threads=1)
    waits.want()

    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(waits.for_bytes, pair[0], PATIENCE)
        pair[1].send(b"x")

        assert waiting.result(PATIENCE)


def test_wait__of_a_client_that_goes_away__ends(pair: Pair) -> None:
    waits = Waits(threads=1)
    waits.want()
    pair[1].close()

    assert waits.for_bytes(pair[0], PATIENCE)


def test_wait__of_a_silent_client__ends_with_its_time(pair: Pair) -> None:
    waits = Waits(threads=1)
    waits.want()

    assert not waits.for_bytes(pair[0], 0.001)


def test_wait__while_another_connection_wants_the_thread__ends_at_once(pair: Pair) -> None:
    waits = Waits(threads=1)
    waits.want()

    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(waits.for_bytes, pair[0], 10 * PATIENCE)
        waits.want()

        assert not waiting.result(PATIENCE)


def test_wait__after_the_other_connection_is_done__is_not_cut_short(pair: Pair) -> None:
    waits = Waits(threads=1)
    waits.want()
    waits.want()
    waits.done()
    pair[1].send(b"x")

    assert waits.for_bytes(pair[0], PATIENCE)


def test_waits__where_thousands_want_and_one_waits__never_block_the_loop(pair: Pair) -> None:
    waits = Waits(threads=1)
    waits.want()

    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(waits.for_bytes, pair[0], 10 * PATIENCE)
        for _ in range(100_000):  # more calls than the pipe has room for
            waits.want()

        assert not waiting.result(PATIENCE)


def test_wait__on_a_file_that_select_cannot_name__ends_with_bytes_or_the_time(pair: Pair) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < 1500:
        pytest.skip("so many files are not allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1500), hard))
    waits = Waits(threads=1)
    with socket.socket(fileno=fcntl.fcntl(pair[0], fcntl.F_DUPFD, 1200)) as high:
        silent = waits.for_bytes(high, 0.001)
        pair[1].send(b"x")

        assert (silent, waits.for_bytes(high, PATIENCE)) == (False, True)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
