"""Log-in through a header of a trusted proxy: whose word counts, who is made, and which role follows."""

from ipaddress import ip_network
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from bandit_project.administration.users import invite_user
from bandit_project.environment import Environment
from bandit_project.models import AdministrationChange, UserSettings
from experiments.roles import Role, role_of
from tests.factory import NOW

pytestmark = pytest.mark.django_db

ANN = {"X-Remote-User": "ann@example.com"}


@pytest.fixture(autouse=True)
def _proxy(settings: Settings) -> None:
    settings.DASHBOARD_LOGIN_REQUIRED = True
    settings.REMOTE_USER_HEADER = "X-Remote-User"
    settings.REMOTE_USER_PROXIES = [ip_network("127.0.0.1")]
    settings.REMOTE_USER_GROUPS_HEADER = "X-Remote-Groups"
    settings.REMOTE_USER_ROLES = {"data": "analyst", "platform": "admin"}


def _logged_in(client: Client) -> str | None:
    pk = client.session.get("_auth_user_id")
    return User.objects.get(pk=pk).username if pk else None


def _role(groups: str, client: Client | None = None) -> Role | None:
    (client or Client()).get("/dashboard/", headers={**ANN, "X-Remote-Groups": groups})
    return role_of(User.objects.get(username="ann@example.com"))


def test_header__from_a_trusted_proxy__logs_in_and_makes_the_account_without_a_password(
    client: Client,
) -> None:
    client.get("/dashboard/", headers=ANN)

    made = User.objects.get()
    assert _logged_in(client) == made.username == made.email == "ann@example.com"
    assert not made.has_usable_password()
    assert role_of(made) is None


def test_header__name_in_another_case__is_the_account_that_is_there_and_keeps_its_session(
    client: Client,
) -> None:
    invite_user(email="ann@example.com", name="", role=Role.ANALYST, now=NOW)

    client.get("/dashboard/", headers={"X-Remote-User": "Ann@Example.com"})
    session = client.session.session_key
    client.get("/dashboard/", headers={"X-Remote-User": "ANN@example.com"})

    assert User.objects.get().username == _logged_in(client) == "ann@example.com"
    assert client.session.session_key == session


@pytest.mark.parametrize(("header", "who"), [("ann", "ann"), ("Ann", "Ann"), ("ANN", None)])
def test_header__two_accounts_that_differ_in_case__is_the_one_that_is_written_so_or_neither(
    client: Client, header: str, who: str | None
) -> None:
    for name in ("Ann", "ann"):
        User.objects.create_user(name)

    client.get("/dashboard/", headers={"X-Remote-User": header})

    assert _logged_in(client) == who
    assert User.objects.count() == 2


@pytest.mark.parametrize(("header", "who"), [("Ann", "Ann"), ("ANN", None)])
def test_session__header_of_another_account_that_differs_in_case__ends(
    client: Client, header: str, who: str | None
) -> None:
    for name in ("Ann", "ann"):
        User.objects.create_user(name)
    client.get("/dashboard/", headers={"X-Remote-User": "ann"})

    client.get("/dashboard/", headers={"X-Remote-User": header})

    assert _logged_in(client) == who


def test_session__of_an_account_in_another_case__ends_where_the_proxy_names_the_other(client: Client) -> None:
    for name in ("Ann", "ann"):
        User.objects.create_user(name)
    client.get("/dashboard/", headers={"X-Remote-User": "Ann"})

    client.get("/dashboard/", headers={"X-Remote-User": "ann"})

    assert _logged_in(client) == "ann"


@pytest.mark.parametrize(
    ("name", "other"), [("sam", "\u017fam"), ("kim", "\u212aim"), ("strasse", "stra\u00dfe")]
)
def test_header__sign_that_folds_to_the_letters_of_another__is_another_person(
    client: Client, name: str, other: str
) -> None:
    client.get("/dashboard/", headers={"X-Remote-User": name})

    client.get("/dashboard/", HTTP_X_REMOTE_USER=other)
    client.get("/dashboard/", HTTP_X_REMOTE_USER=other)
    Client().get("/dashboard/", HTTP_X_REMOTE_USER=other)

    assert _logged_in(client) == other
    assert User.objects.count() == 2


@pytest.mark.parametrize("address", ["10.9.9.9", "", "::1"])
def test_header__from_anyone_else__is_nothing(client: Client, address: str) -> None:
    answer = client.get("/dashboard/", headers=ANN, REMOTE_ADDR=address)

    assert answer.status_code == 302
    assert not User.objects.exists()


def test_header__forwarded_by_a_trusted_address_only_by_its_own_claim__is_nothing(client: Client) -> None:
    client.get("/dashboard/", headers={**ANN, "X-Forwarded-For": "127.0.0.1"}, REMOTE_ADDR="10.9.9.9")

    assert _logged_in(client) is None


def test_header__switched_off__is_nothing(client: Client, settings: Settings) -> None:
    settings.REMOTE_USER_HEADER = ""

    client.get("/dashboard/", headers=ANN)

    assert not User.objects.exists()


@pytest.mark.parametrize("name", ["", "   ", "x" * 151, "a\x00b", "a\tb"])
def test_header__no_name__logs_nobody_in(client: Client, name: str) -> None:
    client.get("/dashboard/", headers={"X-Remote-User": name})

    assert not User.objects.exists()


def test_session__header_gone__ends(client: Client) -> None:
    client.get("/dashboard/", headers=ANN)

    client.get("/dashboard/")

    assert _logged_in(client) is None


def test_session__that_began_with_a_password__stays(client: Client) -> None:
    client.force_login(
        User.objects.create_user("bob"), backend="bandit_project.administration.login.AccountBackend"
    )

    client.get("/dashboard/")

    assert _logged_in(client) == "bob"


def test_account__deactivated__is_not_logged_in(client: Client) -> None:
    User.objects.create_user("ann@example.com", is_active=False)

    client.get("/dashboard/", headers=ANN)

    assert _logged_in(client) is None


def test_account__invited__has_come(client: Client) -> None:
    user = invite_user(email="ann@example.com", name="", role=Role.ANALYST, now=NOW)

    client.get("/dashboard/", headers={**ANN, "X-Remote-Groups": "data"})

    assert UserSettings.objects.get(user=user).invited_at is None
    assert role_of(User.objects.get()) is Role.ANALYST


def test_role__of_the_groups__is_the_highest_and_follows_at_each_login() -> None:
    User.objects.create_superuser("root")

    assert _role("data, platform") is Role.ADMIN
    assert User.objects.get(username="ann@example.com").is_staff
    assert _role("data") is Role.ANALYST
    assert not User.objects.get(username="ann@example.com").is_staff
    assert _role("others") is None


def test_role__of_the_last_administrator__stays() -> None:
    assert _role("platform") is Role.ADMIN
    assert _role("data") is Role.ADMIN


def test_role__taken_away__closes_the_admin_and_is_on_record() -> None:
    User.objects.create_superuser("root")
    _role("platform")

    assert _role("others") is None
    assert not User.objects.get(username="ann@example.com").is_staff
    change = AdministrationChange.objects.latest("pk")
    assert (change.subject, change.name, change.action) == ("user", "ann@example.com", "role_changed")
    assert change.facts == {"before": "admin", "after": ""}


@pytest.mark.parametrize("headers", [{"X-Remote-Groups": "others"}, {}])
def test_role__of_the_last_administrator__stays_without_a_group_too(headers: dict[str, str]) -> None:
    assert _role("platform") is Role.ADMIN

    Client().get("/dashboard/", headers={**ANN, **headers})

    assert role_of(User.objects.get(username="ann@example.com")) is Role.ADMIN


def test_role__of_a_superuser__is_not_the_proxys_business() -> None:
    User.objects.create_superuser("ann@example.com")

    assert _role("data") is Role.ADMIN


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"REMOTE_USER_HEADER": "X-User"}, "must name the proxies whose REMOTE_USER_HEADER counts"),
        ({"REMOTE_USER_ROLES": "data=boss"}, "must be like data-team=analyst"),
        ({"REMOTE_USER_ROLES": "analyst"}, "must be like data-team=analyst"),
    ],
)
def test_variables__incomplete_or_wrong__stop_the_start(variables: dict[str, str], problem: str) -> None:
    env: Any = Environment(variables)

    env.networks("REMOTE_USER_PROXIES", required_by="REMOTE_USER_HEADER")
    env.roles_of_groups("REMOTE_USER_ROLES")

    (found,) = env.problems
    assert problem in str(found)
