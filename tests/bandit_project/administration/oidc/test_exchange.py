"""The time limit of all that is asked of the provider, and what counts as its silence."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import requests
from django.db import OperationalError, connection
from django.test import Client

from bandit_project.administration.oidc.exchange import ask, exchange
from bandit_project.administration.oidc.provider import OidcError, asking_provider
from bandit_project.models import OidcIdentity
from tests.bandit_project.administration.oidc.person import log_in, who
from tests.bandit_project.administration.oidc.provider import Provider

pytestmark = pytest.mark.django_db


def test_connection__to_several_silent_addresses__is_given_up_after_the_time_of_an_exchange(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with silent_addresses(3) as silent, socket.create_server(("127.0.0.1", 0)) as last:
        last.setblocking(False)
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (*silent, last.getsockname())
        ]
        resolve = socket.getaddrinfo
        monkeypatch.setattr(
            "socket.getaddrinfo", lambda host, *more: found if host == "idp.test" else resolve(host, *more)
        )
        with exchange(0.2), pytest.raises(requests.Timeout):
            ask("GET", "http://idp.test/", timeout=0.3)
        with pytest.raises(BlockingIOError):
            last.accept()  # the time was over before its turn


@contextmanager
def silent_addresses(count: int) -> Iterator[list[Any]]:
    """Listen at addresses that leave who knocks waiting, since as many wait there as may."""
    with ExitStack() as opened:
        addresses = []
        for _ in range(count):
            listener = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            addresses.append(listener.getsockname())
            for _ in range(3):
                knocking = opened.enter_context(socket.socket())
                knocking.setblocking(False)
                knocking.connect_ex(addresses[-1])
        yield addresses


def test_ask__outside_of_an_exchange__is_a_fault_of_ours(at: Provider) -> None:
    with pytest.raises(RuntimeError, match="ask within an exchange"):
        ask("GET", at.issuer, timeout=5)

    assert at.asked == []


@pytest.mark.parametrize("fault", [OperationalError("database is locked"), OidcError("no_account")])
def test_fault_of_ours__after_the_time_of_an_exchange__is_not_the_providers_silence(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    monkeypatch.setattr("bandit_project.administration.oidc.provider.TOTAL_SECONDS", 0)

    with pytest.raises(type(fault)) as raised, asking_provider():
        raise fault

    assert raised.value is fault
    with ThreadPoolExecutor(1) as pool, asking_provider():
        pool.submit(_ask_nothing).result()  # more than one may ask, as before


def _ask_nothing() -> None:
    with asking_provider():
        pass


def test_account__is_looked_for_when_the_provider_has_been_asked(client: Client, at: Provider) -> None:
    looked_at = []

    def ask_meanwhile(execute: Any, sql: str, *more: Any) -> Any:
        if OidcIdentity._meta.db_table in sql:
            looked_at.append(sql)
            with pytest.raises(RuntimeError, match="ask within an exchange"):
                ask("GET", at.issuer, timeout=5)
        return execute(sql, *more)

    with connection.execute_wrapper(ask_meanwhile):
        log_in(client)

    assert looked_at
    assert who(client) == "ann@example.com"
