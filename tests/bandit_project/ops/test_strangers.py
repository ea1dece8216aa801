"""Bounds on what a caller without an account costs: passwords checked, rows stored, mails sent."""

import threading
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core import mail
from django.test import Client

from bandit_project.ops import strangers
from bandit_project.ops.strangers import ROUND_TRIPS_A_MINUTE, drop_oldest_failures
from experiments.rates import network_of

pytestmark = pytest.mark.django_db

_PASSWORD, _WRONG = "the right one 1", "wrong"
_LOGINS = ("/accounts/login/", "/admin/login/")


@pytest.fixture(autouse=True)
def person() -> None:
    get_user_model().objects.create_superuser("op", "op@example.com", _PASSWORD)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were hashed, each of which takes a third of a second in production."""
    hashed: list[str] = []
    usual = PBKDF2PasswordHasher.encode

    def encode(self: PBKDF2PasswordHasher, password: str, *rest: Any) -> str:
        hashed.append(password)
        return usual(self, password, *rest)

    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", encode)
    return hashed


def _log_in(path: str, name: str, password: str = _WRONG, **client: Any) -> int:
    return Client(**client).post(path, {"username": name, "password": password}).status_code


@pytest.mark.parametrize("path", _LOGINS)
def test_login__name_longer_than_any__is_400_without_a_check_or_a_row(path: str, checks: list[str]) -> None:
    assert _log_in(path, "u" * 151) == 400
    assert _log_in(path, "u" * 1_000_000) == 400

    assert checks == []
    assert AccessAttempt.objects.count() == 0


@pytest.mark.parametrize("path", _LOGINS)
def test_login__twenty_wrong_ones_of_an_address_within_a_minute__are_refused_unchecked(
    path: str, checks: list[str]
) -> None:
    assert [_log_in(path, f"made up {n}") for n in range(20)] == [200] * 20
    checks.clear()

    refused = [_log_in(path, f"made up {n}") for n in range(20, 25)]
    elsewhere = _log_in(path, "op", _PASSWORD, REMOTE_ADDR="192.0.2.7")

    assert refused == [429] * 5
    assert elsewhere == 302
    assert _WRONG not in checks
    assert AccessAttempt.objects.count() == 20


def test_login__right_ones_of_an_address__are_not_counted() -> None:
    assert [_log_in(_LOGINS[0], "op", _PASSWORD) for _ in range(25)] == [302] * 25


@pytest.mark.parametrize("path", _LOGINS)
def test_login__two_are_being_checked__the_third_is_asked_to_come_back(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = threading.BoundedSemaphore(1)
    busy.acquire()
    monkeypatch.setattr(strangers, "_checking", busy)

    response = Client().post(path, {"username": "op", "password": _PASSWORD})

    assert (response.status_code, response["Retry-After"]) == (429, "1")


def test_failed_logins__more_than_are_kept__the_oldest_go() -> None:
    for n in range(8):
        AccessAttempt.objects.create(username=f"n{n}", ip_address="192.0.2.1", failures_since_start=1)

    drop_oldest_failures(most=5)

    assert set(AccessAttempt.objects.values_list("username", flat=True)) == {f"n{n}" for n in range(3, 8)}


def test_reset__asked_for_without_end__mails_a_person_three_times_an_hour() -> None:
    said = {
        (answer.status_code, answer["Location"])
        for n in range(10)
        for address in ("op@example.com", " OP@example.com")
        if (
            answer := Client(REMOTE_ADDR=f"192.0.2.{n}").post("/accounts/password_reset/", {"email": address})
        )
    }

    assert len(mail.outbox) == 3
    assert said == {(302, "/accounts/password_reset/done/")}


def test_reset__one_address_for_many_people__stops_at_twenty_an_hour() -> None:
    for n in range(25):
        get_user_model().objects.create_user(f"p{n}", f"p{n}@example.com", _PASSWORD)

    for n in range(25):
        Client().post("/accounts/password_reset/", {"email": f"p{n}@example.com"})

    assert len(mail.outbox) == 20


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("no address", "unknown"),
    ],
)
def test_network__of_an_address__is_what_one_client_has(address: str, network: str) -> None:
    assert network_of(address) == network


def test_round_trip__of_an_address_without_end__is_refused(client: Client) -> None:
    """Counted also where log-in by OpenID Connect is off: a call must cost nothing either way."""
    codes = {client.get("/accounts/oidc/").status_code for _ in range(ROUND_TRIPS_A_MINUTE)}

    refused = client.get("/accounts/oidc/callback/")
    elsewhere = client.get("/accounts/oidc/", REMOTE_ADDR="10.0.0.9")

    assert codes == {404}
    assert (refused.status_code, refused["Retry-After"]) == (429, "60")
    assert elsewhere.status_code == 404
