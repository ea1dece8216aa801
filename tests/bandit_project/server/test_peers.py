"""Workers leave a connection to one that has fewer, and keep no client waiting for one that does not come."""

import socket
from collections.abc import Iterator

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger

from bandit_project.server.peers import Peers
from bandit_project.server.worker import BufferingWorker

pytestmark = pytest.mark.database_free

NOW = 1000.0


@pytest.fixture
def peers() -> Iterator[list[Peers]]:
    """Three workers without connections that have just gone on."""
    made = [Peers(age) for age in range(3)]
    for one in made:
        one.hold(0)
        one.go_on(NOW)
    yield made
    for one in made:
        one.end()


def test_connection__while_all_workers_have_as_many__is_taken(peers: list[Peers]) -> None:
    for one in peers:
        one.hold(2)

    assert [one.should_take(NOW) for one in peers] == [True, True, True]


def test_connection__while_another_worker_has_fewer__is_left_to_it(peers: list[Peers]) -> None:
    peers[0].hold(1)

    assert [one.should_take(NOW) for one in peers] == [False, True, True]


def test_connection__that_the_other_worker_does_not_come_for__is_taken_after_a_moment(
    peers: list[Peers],
) -> None:
    peers[0].hold(1)

    moments = [0, 0.005, 0.02, 0.09, 0.11]

    assert [peers[0].should_take(NOW + moment) for moment in moments] == [False, False, True, True, False]


def test_connection__while_those_with_fewer_are_silent_or_end__is_taken(peers: list[Peers]) -> None:
    peers[0].hold(1)
    peers[0].go_on(NOW + 3)
    peers[1].end()

    assert peers[0].should_take(NOW + 3)


def test_connections__of_16_clients_at_once__are_eight_for_each_of_two_workers(peers: list[Peers]) -> None:
    peers[2].end()
    held = [0, 0]

    for _ in range(16):
        taker = next(n for n in (0, 1) if peers[n].should_take(NOW))
        held[taker] += 1
        peers[taker].hold(held[taker])

    assert held == [8, 8]


@pytest.fixture
def worker() -> Iterator[BufferingWorker]:
    made = BufferingWorker(50, 1, [], None, 30, Config(), Logger(Config()))
    yield made
    made.tmp.close()
    Peers(50).end()


def test_worker__that_leaves_a_connection__lets_it_wait_where_others_find_it(worker: BufferingWorker) -> None:
    other = Peers(51)
    worker.notify()
    worker.nr_conns = 3
    other.hold(2)
    other.go_on(float("inf"))
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        worker.accept(listener)
        other.end()
        listener.settimeout(5)
        taken, _address = listener.accept()
        taken.close()

    assert worker.nr_conns == 3
