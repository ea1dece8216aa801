"""When a database connection is checked before it is used."""

import contextlib
import time
from collections.abc import Iterator

import psycopg
import pytest
from django.core.cache import close_caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.signals import request_finished, request_started
from django.db import connection
from django.db import connections as django_connections
from django.dispatch import Signal

from bandit_project.environment import options_with, postgresql_options
from bandit_project.server.connections import (
    FRESH_SECONDS,
    _answered_at,
    _note_answers,
    _trust_fresh_ones,
    ask_connections_once,
    spare_closing_caches,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def connected() -> Iterator[None]:
    connection.ensure_connection()
    yield
    _answered_at.clear()


def _will_be_asked() -> bool:
    """Begin a request: Django orders a check, which connections.py may take back."""
    vars(django_connections["default"])["health_check_done"] = False
    _trust_fresh_ones()
    return not vars(django_connections["default"])["health_check_done"]


def test_connection__used_a_moment_ago__is_not_asked() -> None:
    _note_answers()

    assert not _will_be_asked()


def test_connection__idle_for_longer__is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    _note_answers()
    later = _answered_at[django_connections["default"]] + FRESH_SECONDS
    monkeypatch.setattr("time.monotonic", lambda: later)

    assert _will_be_asked()


def test_connection__that_failed__is_asked() -> None:
    connection.errors_occurred = True
    _note_answers()
    connection.errors_occurred = False

    assert _will_be_asked()


def test_connection__that_serves__lets_the_server_end_what_a_dead_machine_left() -> None:
    """Locks go with the transaction in which nothing happens; the server misses a silent machine as soon as we do."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no server")
    place = {
        n: v for n, v in connection.get_connection_params().items() if n in ("host", "port", "user", "dbname")
    }
    silent = psycopg.connect(**place, **postgresql_options(1))
    with contextlib.closing(silent):
        silent.execute("SELECT 1")
        time.sleep(1.5)
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            silent.execute("SELECT 1")


@pytest.mark.database_free
def test_options__of_a_command__know_a_dead_machine_but_no_time_limit() -> None:
    options = postgresql_options(0)["options"]

    assert "tcp_keepalives_idle=30s" in options
    assert "tcp_user_timeout=15s" in options
    assert "timeout=0" not in options
    assert "statement" not in options


@pytest.mark.database_free
def test_options__of_every_connection__have_no_statement_compiled_or_shared_by_processes() -> None:
    options = postgresql_options(0)["options"]

    assert "jit=off" in options
    assert "max_parallel_workers_per_gather=0" in options


@pytest.mark.database_free
def test_options__for_a_pooler_that_takes_none__are_none() -> None:
    assert "options" not in postgresql_options(60, takes_options=False)


@pytest.mark.database_free
def test_options__of_a_url__stand_behind_ours_and_win() -> None:
    found = options_with(
        {"options": "-c jit=off -c statement_timeout=60s", "connect_timeout": 5},
        {"options": "-c search_path=bandit -c jit=on", "connect_timeout": 9, "sslmode": "require"},
    )

    assert found == {
        "options": "-c jit=off -c statement_timeout=60s -c search_path=bandit -c jit=on",
        "connect_timeout": 9,
        "sslmode": "require",
    }


@pytest.mark.database_free
def test_options__none_of_ours_or_none_of_a_url__are_the_others() -> None:
    assert options_with({}, {"options": "-c jit=on"}) == {"options": "-c jit=on"}
    assert options_with({"options": "-c jit=off"}, {}) == {"options": "-c jit=off"}
    assert options_with({}, {}) == {}


def test_options__of_one_name__the_last_holds() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no server")
    place = {
        n: v for n, v in connection.get_connection_params().items() if n in ("host", "port", "user", "dbname")
    }
    options = options_with(postgresql_options(7), {"options": "-c jit=on -c search_path=elsewhere"})
    with contextlib.closing(psycopg.connect(**place, **options)) as asked:
        shown = [asked.execute(f"SHOW {n}").fetchone() for n in ("jit", "search_path", "statement_timeout")]

    assert shown == [("on",), ("elsewhere",), ("7s",)]


def test_caches__none_has_anything_to_close__are_not_asked_after_each_request() -> None:
    request_finished.connect(close_caches)

    spare_closing_caches()

    assert not request_finished.disconnect(close_caches)


def test_caches__one_closes_connections__are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    request_finished.connect(close_caches)
    monkeypatch.setattr(LocMemCache, "close", lambda self, **kwargs: None, raising=False)

    spare_closing_caches()

    assert request_finished.disconnect(close_caches)


@pytest.fixture
def serving() -> Iterator[None]:
    """Go through the connections as a process that serves does; other tests' receivers come back."""
    before = [(signal, list(signal.receivers)) for signal in (request_started, request_finished)]
    ask_connections_once()
    yield
    for signal, receivers in before:
        signal.receivers[:] = receivers
        signal.sender_receivers_cache.clear()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("serving")
@pytest.mark.parametrize("signal", [request_started, request_finished], ids=["begins", "ends"])
def test_connection__older_than_it_may_be__is_closed_when_a_request_begins_or_ends(signal: Signal) -> None:
    connection.close_at = time.monotonic() - 1

    signal.send(sender=None)

    assert connection.connection is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("serving")
def test_connection__that_answered_the_last_request__is_not_asked_by_the_next() -> None:
    connection.close_at, done = None, []  # on SQLite each request has its own
    for _ in range(2):
        request_started.send(sender=None)
        done.append(vars(django_connections["default"])["health_check_done"])
        request_finished.send(sender=None)

    assert done == [False, True]
