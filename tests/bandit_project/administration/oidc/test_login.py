"""Log-in by OpenID Connect against a provider over HTTP: who gets in, and out again."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from bandit_project.environment import Environment
from bandit_project.models import OidcIdentity
from experiments.roles import role_of
from tests.bandit_project.administration.oidc.person import at_the_provider, log_in, who
from tests.bandit_project.administration.oidc.provider import (
    Provider,
)

pytestmark = pytest.mark.django_db


def test_login__person_with_a_verified_address__makes_an_account_without_password_and_role(
    client: Client, at: Provider
) -> None:
    answer = log_in(client)

    user = User.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, "/dashboard/")
    assert who(client) == user.username == user.email == "ann@example.com"
    assert not user.has_usable_password()
    assert role_of(user) is None
    assert OidcIdentity.objects.values_list("issuer", "subject").get() == (at.issuer, "0815")


def test_question__to_the_provider__has_state_nonce_and_a_challenge_of_its_own(
    client: Client, at: Provider
) -> None:
    first, second = (
        parse_qs(urlsplit(client.get("/accounts/oidc/")["Location"]).query, strict_parsing=True) for _ in "12"
    )

    assert first["response_type"] == ["code"]
    assert first["redirect_uri"] == ["http://testserver/accounts/oidc/callback/"]
    assert first["code_challenge_method"] == ["S256"]
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name][0]) >= 43
        assert first[name] != second[name]


def test_login__again__is_the_same_account_whatever_the_address_is_by_then(
    client: Client, at: Provider
) -> None:
    log_in(client)
    at.person |= {"email": "ann@married.example", "email_verified": False}

    log_in(other := Client())

    assert who(other) == "ann@example.com"
    assert User.objects.count() == 1


def test_login__provider_that_takes_the_secret_in_a_header__works(client: Client, at: Provider) -> None:
    at.methods = ["client_secret_basic"]

    log_in(client)

    assert who(client) == "ann@example.com"
    assert "client_secret" not in at.tokens_asked[0]


@pytest.mark.parametrize(
    ("wanted", "led_to"),
    [
        ("/dashboard/limits/", "/dashboard/limits/"),
        ("https://evil.example/", "/dashboard/"),
        ("//evil", "/dashboard/"),
    ],
)
def test_login__from_a_page__leads_there_and_to_no_other_site(
    client: Client, at: Provider, wanted: str, led_to: str
) -> None:
    assert log_in(client, wanted)["Location"] == led_to


@pytest.mark.parametrize("long", ["/dashboard/?q=" + "x" * 100_000, "/dashboard/?q=" + "é" * 2000])
def test_login__from_an_address_that_no_cookie_holds__leads_to_the_first_page(
    client: Client, at: Provider, long: str
) -> None:
    answer = log_in(client, long)

    assert answer["Location"] == "/dashboard/"
    assert who(client) == "ann@example.com"


def test_login__from_the_longest_address_that_is_kept__leads_there_by_a_cookie_that_browsers_keep(
    client: Client, at: Provider
) -> None:
    longest = "/dashboard/?q=%22" + "x" * 1983

    back = at_the_provider(client, longest)

    assert len(client.cookies["oidc"].OutputString()) < 4096
    assert client.get(back)["Location"] == longest


def test_session__by_the_provider__ends_after_the_hours_set(
    client: Client, at: Provider, settings: Settings
) -> None:
    settings.OIDC_SESSION_HOURS = 3

    log_in(client)

    assert client.session.get_expiry_age() == 3 * 3600


def test_visitor__who_only_presses_the_button__leaves_nothing_in_the_database(
    client: Client, at: Provider, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        client.get("/accounts/oidc/")


def test_lockout__of_the_password__does_not_shut_out_of_the_provider(client: Client, at: Provider) -> None:
    User.objects.create_user("ann@example.com", password="right")
    for _ in range(5):
        client.post("/accounts/login/", {"username": "ann@example.com", "password": "wrong"})

    log_in(client)

    assert who(client) == "ann@example.com"


def test_logout__of_who_came_by_the_provider__offers_to_end_the_session_there(
    client: Client, at: Provider
) -> None:
    log_in(client)

    page = client.post("/accounts/logout/", follow=True)
    there = client.get("/accounts/oidc/logout/")

    assert who(client) is None
    assert b"Log out of Example too" in page.content
    place = urlsplit(there["Location"])
    assert f"{place.scheme}://{place.netloc}{place.path}" == f"{at.issuer}/end"
    assert parse_qs(place.query)["post_logout_redirect_uri"] == ["http://testserver/accounts/login/"]


def test_logout__of_who_came_by_password__is_as_ever(client: Client, at: Provider) -> None:
    client.force_login(
        User.objects.create_user("bob"), backend="bandit_project.administration.login.AccountBackend"
    )

    assert client.post("/accounts/logout/")["Location"] == "/accounts/login/"


def test_login_page__with_a_provider__has_its_button_which_keeps_the_goal(
    client: Client, at: Provider
) -> None:
    page = client.get("/accounts/login/?next=/dashboard/limits/").content.decode()

    assert "Log in with Example" in page
    assert 'href="/accounts/oidc/?next=/dashboard/limits/"' in page


def test_admin__with_a_provider__has_its_button_which_leads_back_there(client: Client, at: Provider) -> None:
    User.objects.create_superuser("ann@example.com")
    asked = client.get("/admin/experiments/", follow=True)
    page = asked.content.decode()
    goal = "/admin/experiments/"

    assert "Log in with Example" in page
    assert f'href="/accounts/oidc/?next={goal}"' in page
    assert log_in(client, goal)["Location"] == goal
    assert client.get(goal).status_code == 200


@pytest.mark.database_free
def test_oidc__switched_off__is_not_there(client: Client) -> None:
    for path in ("/accounts/login/", "/admin/login/"):
        assert b"oidc" not in client.get(path).content
    for path in ("", "callback/", "logout/"):
        assert client.get(f"/accounts/oidc/{path}").status_code == 404


@pytest.mark.database_free
@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"OIDC_ISSUER": "http://login.example"}, "must be the provider's issuer, such as https://"),
        ({"OIDC_ISSUER": "login.example"}, "must be the provider's issuer, such as https://"),
    ],
)
def test_issuer__not_over_https__is_named(variables: dict[str, str], problem: str) -> None:
    env = Environment(variables)

    assert env.issuer("OIDC_ISSUER", debug=False) == ""
    assert problem in str(env.problems[0])


@pytest.mark.database_free
def test_issuer__without_what_belongs_to_it__names_what_is_missing() -> None:
    env = Environment({"OIDC_ISSUER": "https://login.example", "OIDC_CLIENT_ID": "bandit"})

    env.require("OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", by="OIDC_ISSUER")

    assert ["OIDC_CLIENT_SECRET" in str(p) and "OIDC_ISSUER" in str(p) for p in env.problems] == [True]
