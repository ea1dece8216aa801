"""Guessed passwords lock the login out: that person at that address, for a while."""

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from pytest_django import Settings

pytestmark = pytest.mark.django_db


def _log_in(client: Client, password: str, **headers: str) -> int:
    fields = {"username": "op", "password": password}
    return client.post("/accounts/login/", fields, headers={"Accept": "text/html", **headers}).status_code


@pytest.fixture
def person() -> None:
    get_user_model().objects.create_user("op", password="the right one 1")


@pytest.mark.usefixtures("person")
def test_login__five_wrong_guesses__locks_out_with_a_page_even_the_right_password(client: Client) -> None:
    assert [_log_in(client, "wrong") for _ in range(4)] == [200] * 4
    assert _log_in(client, "wrong") == 429

    response = client.post(
        "/accounts/login/", {"username": "op", "password": "the right one 1"}, headers={"Accept": "text/html"}
    )

    assert (response.status_code, response["Retry-After"]) == (429, "1800")
    assert b"Too many failed logins. Try again in 30 minutes" in response.content
    assert b"Back to the experiments" in response.content  # the site's look


@pytest.mark.usefixtures("person")
def test_login__others_and_other_addresses__are_not_locked_out(client: Client) -> None:
    get_user_model().objects.create_user("other", password="the right one 1")
    for _ in range(5):
        _log_in(client, "wrong")

    fields = {"username": "other", "password": "the right one 1"}
    assert client.post("/accounts/login/", fields).status_code == 302
    elsewhere = Client(REMOTE_ADDR="192.0.2.7")
    assert _log_in(elsewhere, "the right one 1") == 302


@pytest.mark.usefixtures("person")
def test_login__right_password_in_between__resets_the_count(client: Client) -> None:
    for _ in range(3):
        for _ in range(4):
            _log_in(client, "wrong")
        assert _log_in(client, "the right one 1") == 302


@pytest.mark.usefixtures("person")
def test_login__behind_a_proxy__the_visitor_is_locked_out_and_not_the_proxy(settings: Settings) -> None:
    settings.PROXY_COUNT = 1
    client = Client()
    for n in range(5):
        # What a client claims itself comes before what the proxy appends.
        _log_in(client, "wrong", **{"X-Forwarded-For": f"198.51.100.{n}, 203.0.113.5"})

    assert _log_in(client, "the right one 1", **{"X-Forwarded-For": "203.0.113.5"}) == 429
    assert _log_in(client, "the right one 1", **{"X-Forwarded-For": "203.0.113.6"}) == 302


@pytest.mark.usefixtures("person")
def test_login__no_proxy_configured__a_made_up_address_changes_nothing(client: Client) -> None:
    for n in range(5):
        _log_in(client, "wrong", **{"X-Forwarded-For": f"203.0.113.{n}"})

    assert _log_in(client, "the right one 1", **{"X-Forwarded-For": "203.0.113.77"}) == 429


@pytest.mark.usefixtures("person")
def test_lockout__to_a_program__is_a_problem(client: Client) -> None:
    for _ in range(5):
        response = client.post("/accounts/login/", {"username": "op", "password": "x"})

    assert (response.status_code, response["Content-Type"]) == (429, "application/problem+json")
