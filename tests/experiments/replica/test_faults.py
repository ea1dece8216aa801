"""A replica that fails, is silent or away: the primary answers in its place."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections

from experiments.database import replica as replicas
from experiments.database.moment import answer_may_lag, one_moment
from tests.experiments.replica.renamed import IS, REPLICA, WAS, names

# Each test makes rows of the numbers that the copy has.
pytestmark = pytest.mark.django_db(transaction=True, reset_sequences=True)


def test_replica__that_cannot_be_reached__is_replaced_by_the_primary_and_left_out(
    replica: None, caplog: pytest.LogCaptureFixture
) -> None:
    connections[REPLICA].close()
    name = connections[REPLICA].settings_dict["NAME"]
    connections[REPLICA].settings_dict["NAME"] = "/nowhere/replica"

    with one_moment(may_lag=True):
        found = names()
    connections[REPLICA].settings_dict["NAME"] = name

    assert found == IS
    assert [line for line in caplog.messages if "replica.lost" in line]
    assert replicas.usable_replicas() == []
    replicas.forget()
    assert replicas.usable_replicas() == [REPLICA]


def test_replica__that_fails_in_the_middle_of_a_read__is_replaced_by_the_primary(replica: None) -> None:
    @answer_may_lag
    def read() -> list[object]:
        found = names()
        if found == WAS:
            raise OperationalError("canceling statement due to conflict with recovery")
        return found

    assert read() == IS


def test_read__that_fails_on_the_primary_too__fails_once(replica: None) -> None:
    read_from = []

    @answer_may_lag
    def read() -> None:
        read_from.append(replicas.alias_to_read())
        raise OperationalError("away")

    with pytest.raises(OperationalError):
        read()
    with pytest.raises(OperationalError), replicas.primary_only():
        read()

    assert read_from == [REPLICA, DEFAULT_DB_ALIAS, DEFAULT_DB_ALIAS]


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_read__that_takes_too_long_on_a_replica__is_not_tried_again(replica: None) -> None:
    read_from = []

    @answer_may_lag
    def read() -> None:
        read_from.append(replicas.alias_to_read())
        with connections[replicas.alias_to_read()].cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 10")
            cursor.execute("SELECT pg_sleep(60)")

    with pytest.raises(OperationalError, match="statement timeout"):
        read()

    assert read_from == [REPLICA]


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_replica__that_takes_connections_and_is_silent__keeps_one_reader_waiting(replica: None) -> None:
    connections[REPLICA].close()
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as one:
        waiting = one.submit(_read_from_host, *silent.getsockname()[:2])
        with silent.accept()[0] as caller:
            caller.recv(1000)
            with one_moment(may_lag=True):
                assert names() == IS
            caller.setblocking(False)
            with pytest.raises(BlockingIOError):
                caller.recv(1000)  # the other has not stopped waiting
        assert waiting.result() == IS


def _read_from_host(host: str, port: int) -> list[object]:
    """Read in a thread, whose connection to the replica is its own."""
    connections[REPLICA] = connection.copy(REPLICA)
    options = {**connection.settings_dict["OPTIONS"], "connect_timeout": 30}
    connections[REPLICA].settings_dict |= {"HOST": host, "PORT": port, "OPTIONS": options}
    try:
        with one_moment(may_lag=True):
            return names()
    finally:
        connection.close()


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_connection__cut_in_the_middle__fails_this_answer_and_not_the_next(replica: None) -> None:
    with pytest.raises(OperationalError), one_moment(may_lag=True):
        _cut_and_read()

    with one_moment(may_lag=True):
        assert names() == WAS


def _cut_and_read() -> None:
    """Let the replica's server end the connection while an answer is put together from it."""
    pid = connections[REPLICA].connection.info.backend_pid
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    names()
