"""Whose account it is: addresses, invitations, groups and what the provider says of a person."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from bandit_project.administration.users import change_role, invite_user
from bandit_project.models import OidcIdentity, UserSettings
from experiments.roles import Role, role_of
from tests.bandit_project.administration.oidc.person import assert_refused, log_in, who
from tests.bandit_project.administration.oidc.provider import (
    Claims,
    Provider,
)
from tests.factory import NOW

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "more", [{"email_verified": False}, {"email_verified": None}, {"email": ""}, {"email": 7}]
)
def test_address__not_verified__makes_and_opens_no_account(
    client: Client, at: Provider, more: Claims
) -> None:
    User.objects.create_user("ann@example.com")
    at.person |= more

    answer = log_in(client)

    assert "does not say that your email address is verified" in assert_refused(client, answer)
    assert not OidcIdentity.objects.exists()


@pytest.mark.parametrize(("said", "is_let_in"), [(None, True), (True, True), (False, False)])
def test_address__provider_that_is_trusted_with_addresses__need_not_say_verified(
    client: Client, at: Provider, settings: Settings, said: bool | None, is_let_in: bool
) -> None:
    settings.OIDC_TRUST_EMAIL = True
    at.person.pop("email_verified")
    if said is not None:
        at.person["email_verified"] = said

    log_in(client)

    assert (who(client) is not None) is is_let_in


def test_account__invited__is_opened_with_its_role(client: Client, at: Provider) -> None:
    user = invite_user(email="ann@example.com", name="", role=Role.ANALYST, now=NOW)

    log_in(client)

    assert who(client) == "ann@example.com"
    assert UserSettings.objects.get(user=user).invited_at is None
    assert role_of(User.objects.get()) is Role.ANALYST


def test_account__of_another_person_with_the_address_handed_on__stays_shut(
    client: Client, at: Provider
) -> None:
    log_in(client)
    at.person["sub"] = "4711"

    answer = log_in(other := Client())

    assert "cannot be opened with Example" in assert_refused(other, answer)
    assert OidcIdentity.objects.count() == 1


def test_account__whose_person_was_forgotten__is_opened_by_the_next_with_its_address(
    client: Client, at: Provider
) -> None:
    log_in(client)
    at.person["sub"] = "4711"

    call_command("forget_identities", "Ann@example.com")
    log_in(other := Client())

    assert who(other) == "ann@example.com"
    assert OidcIdentity.objects.get().subject == "4711"


def test_account__unknown__is_not_forgotten() -> None:
    with pytest.raises(CommandError, match="There is no user 'bob'"):
        call_command("forget_identities", "bob")


def test_account__two_with_the_address__is_neither(client: Client, at: Provider) -> None:
    User.objects.create_user("ann", email="ann@example.com")
    User.objects.create_user("ann@example.com")

    assert_refused(client, log_in(client))

    assert not OidcIdentity.objects.exists()


@pytest.mark.parametrize("password", ["waiting-for-ann", None], ids=["by password", "by another provider"])
def test_account__whose_owner_wrote_the_address_into_the_profile__is_no_longer_the_owners(
    client: Client, at: Provider, settings: Settings, password: str | None
) -> None:
    """Eve waits with Ann's address for the role that Ann's groups give."""
    User.objects.create_superuser("root")
    settings.OIDC_GROUPS_CLAIM, settings.OIDC_ROLES = "groups", {"platform": "admin"}
    at.person["groups"] = ["platform"]
    eve = User.objects.create_user("eve", email="ann@example.com", password=password)
    change_role(user_id=eve.pk, role=Role.VIEWER, by=None, now=NOW)
    (waiting := Client()).force_login(eve)
    assert waiting.get("/dashboard/").status_code == 200

    log_in(client)

    assert (who(client), client.get("/dashboard/").status_code) == ("eve", 200)
    assert not User.objects.get(username="eve").has_usable_password()
    assert waiting.get("/dashboard/").status_code == 302


@pytest.mark.parametrize(
    ("name", "is_superuser"), [("ann@example.com", False), ("Ann@Example.com", False), ("root", True)]
)
def test_account__named_by_the_address_or_of_a_superuser__keeps_its_password(
    client: Client, at: Provider, name: str, is_superuser: bool
) -> None:
    User.objects.create_user(
        name, email="ann@example.com", password="for-a-bad-day", is_superuser=is_superuser
    )

    log_in(client)

    assert who(client) == name
    assert User.objects.get().check_password("for-a-bad-day")


@pytest.mark.parametrize("sign", ["mi\u212ae", "\u017fam"], ids=["Kelvin", "long s"])
def test_account__of_another_person_whose_letters_the_sign_folds_to__stays_shut(
    client: Client, at: Provider, sign: str
) -> None:
    for name in ("mike", "sam"):
        User.objects.create_user(name, email=f"{name}@example.com")
        User.objects.create_user(f"{name}@example.org")
    at.person |= {"email": f"{sign}@example.com"}

    log_in(client)
    at.person |= {"email": f"{sign}@example.org", "sub": "4711"}
    log_in(other := Client())

    assert (who(client), who(other)) == (f"{sign}@example.com", f"{sign}@example.org")
    assert User.objects.count() == 6


def test_account__deactivated__stays_shut(client: Client, at: Provider) -> None:
    User.objects.create_user("ann@example.com", is_active=False)

    assert_refused(client, log_in(client))


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["data", "platform"], Role.ADMIN),
        (["data"], Role.ANALYST),
        ("data, others", Role.ANALYST),
        (["others"], None),
        (None, None),
        ({"data": True}, None),
        ([7, ["data"]], None),
    ],
)
def test_role__of_the_groups_claim__is_the_highest(
    client: Client, at: Provider, settings: Settings, groups: Any, role: Role | None
) -> None:
    User.objects.create_superuser("root")
    settings.OIDC_GROUPS_CLAIM, settings.OIDC_ROLES = "groups", {"data": "analyst", "platform": "admin"}
    at.userinfo["groups"] = groups

    log_in(client)

    assert role_of(User.objects.get(username="ann@example.com")) is role


def test_role__of_the_last_administrator__stays_without_a_group(
    client: Client, at: Provider, settings: Settings
) -> None:
    settings.OIDC_GROUPS_CLAIM, settings.OIDC_ROLES = "groups", {"platform": "admin"}
    at.person["groups"] = ["platform"]
    log_in(client)
    at.person["groups"] = []

    log_in(client)

    assert role_of(User.objects.get()) is Role.ADMIN


def test_userinfo__of_another_subject__is_refused(client: Client, at: Provider) -> None:
    at.userinfo["sub"] = "4711"

    assert_refused(client, log_in(client))


@pytest.mark.parametrize("oddity", [[{"sub": "0815"}], "0815", 815])
def test_userinfo__of_another_shape__is_refused(client: Client, at: Provider, oddity: Any) -> None:
    at.oddity = oddity

    assert_refused(client, log_in(client))


def test_userinfo__against_the_token__does_not_count(client: Client, at: Provider) -> None:
    at.userinfo |= {"email": "root@example.com", "email_verified": True}

    log_in(client)

    assert who(client) == "ann@example.com"
