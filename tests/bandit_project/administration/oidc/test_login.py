"""Log-in by OpenID Connect against a provider over HTTP: who gets in, which token counts, whose account it is."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from bandit_project.administration.oidc.views import BACKEND
from bandit_project.administration.users import change_role, invite_user
from bandit_project.environment import Environment
from bandit_project.models import OidcIdentity, UserSettings
from experiments.roles import Role, role_of
from tests.bandit_project.administration.oidc.provider import (
    CLIENT,
    SECRET,
    Claims,
    Provider,
    new_key,
    provider,
)
from tests.factory import NOW

pytestmark = pytest.mark.django_db

ANN = {"sub": "0815", "email": "Ann@Example.com", "email_verified": True}


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return new_key()


@pytest.fixture
def at(key: rsa.RSAPrivateKey, settings: Settings) -> Iterator[Provider]:
    """A provider at which Ann is logged in, and an installation that trusts it."""
    with provider(key) as made:
        made.person = dict(ANN)
        settings.OIDC_ISSUER, settings.OIDC_NAME = made.issuer, "Example"
        settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = CLIENT, SECRET
        settings.OIDC_GROUPS_CLAIM, settings.OIDC_ROLES = "", {}
        settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, BACKEND]
        settings.DASHBOARD_LOGIN_REQUIRED = True
        cache.clear()
        yield made


def _at_the_provider(client: Client, goal: str = "") -> str:
    """Press the button, and be sent back by the provider: the address there, with code and state."""
    begun = client.get("/accounts/oidc/", {"next": goal} if goal else {})
    answer = requests.get(begun["Location"], allow_redirects=False, timeout=5)
    return answer.headers["Location"]


def _log_in(client: Client, goal: str = "") -> Any:
    return client.get(_at_the_provider(client, goal))


def _who(client: Client) -> str | None:
    pk = client.session.get("_auth_user_id")
    return User.objects.get(pk=pk).username if pk else None


def _assert_refused(client: Client, answer: Any) -> str:
    """Refused with a sentence on the log-in page, and nothing made."""
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/")
    assert _who(client) is None
    (sentence,) = get_messages(answer.wsgi_request)
    return str(sentence)


def test_login__person_with_a_verified_address__makes_an_account_without_password_and_role(
    client: Client, at: Provider
) -> None:
    answer = _log_in(client)

    user = User.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, "/dashboard/")
    assert _who(client) == user.username == user.email == "ann@example.com"
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
    _log_in(client)
    at.person |= {"email": "ann@married.example", "email_verified": False}

    _log_in(other := Client())

    assert _who(other) == "ann@example.com"
    assert User.objects.count() == 1


def test_login__provider_that_takes_the_secret_in_a_header__works(client: Client, at: Provider) -> None:
    at.methods = ["client_secret_basic"]

    _log_in(client)

    assert _who(client) == "ann@example.com"
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
    assert _log_in(client, wanted)["Location"] == led_to


@pytest.mark.parametrize("search", ["x" * 2500, "ã" * 1900], ids=["long", "six bytes a sign"])
def test_login__from_a_page_of_a_very_long_address__still_works(
    client: Client, at: Provider, search: str
) -> None:
    short, long = "/dashboard/?search=" + "x" * 1900, f"/dashboard/?search={search}"

    begun = client.get("/accounts/oidc/", {"next": short})

    assert len(begun.cookies["oidc"].OutputString()) < 4096  # browsers keep no longer one
    assert _log_in(client, short)["Location"] == short
    assert _log_in(Client(), long)["Location"] == "/dashboard/"


def test_session__by_the_provider__ends_after_the_hours_set(
    client: Client, at: Provider, settings: Settings
) -> None:
    settings.OIDC_SESSION_HOURS = 3

    _log_in(client)

    assert client.session.get_expiry_age() == 3 * 3600


def test_visitor__who_only_presses_the_button__leaves_nothing_in_the_database(
    client: Client, at: Provider, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        client.get("/accounts/oidc/")


def _other(name: str, value: Any) -> Callable[[Provider, Claims], str]:
    return lambda at, claims: at.signed({**claims, name: value})


def _without(name: str) -> Callable[[Provider, Claims], str]:
    return lambda at, claims: at.signed({k: v for k, v in claims.items() if k != name})


def _public(at: Provider) -> bytes:
    return at.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


_FORGED: dict[str, Callable[[Provider, Claims], str]] = {
    "nonce of another log-in": _other("nonce", "another"),
    "no nonce": _without("nonce"),
    "audience of another client": _other("aud", "another"),
    "no audience": _without("aud"),
    "several audiences, issued to another": lambda at, c: at.signed({**c, "aud": [CLIENT, "b"], "azp": "b"}),
    "several audiences, to nobody by name": _other("aud", [CLIENT, "b"]),
    "issued to another": _other("azp", "another"),
    "other issuer": _other("iss", "https://evil.example"),
    "no issuer": _without("iss"),
    "expired": lambda at, c: at.signed({**c, "exp": c["iat"] - 3600}),
    "no expiry": _without("exp"),
    "not yet valid": lambda at, c: at.signed({**c, "nbf": c["iat"] + 3600}),
    "no subject": _without("sub"),
    "empty subject": _other("sub", ""),
    "subject that is too long": _other("sub", "x" * 256),
    "subject with a NUL": _other("sub", "a\x00b"),
    "key of somebody else": lambda at, c: jwt.encode(c, new_key(), algorithm="RS256", headers={"kid": "one"}),
    "key that is not published": lambda at, c: jwt.encode(
        c, at.key, algorithm="RS256", headers={"kid": "two"}
    ),
    "no key named": lambda at, c: jwt.encode(c, at.key, algorithm="RS256"),
    "no signature": lambda at, c: jwt.encode(c, "", algorithm="none", headers={"kid": "one"}),
    "signed with the public key as a secret": lambda at, c: jwt.encode(
        c, _public(at), algorithm="HS256", headers={"kid": "one"}
    ),
    "not a token": lambda at, c: "not a token",
}


@pytest.mark.parametrize("name", _FORGED)
def test_token__that_is_not_good__logs_nobody_in_and_makes_nothing(
    client: Client, at: Provider, name: str
) -> None:
    at.sign = lambda claims: _FORGED[name](at, claims)

    answer = _log_in(client)

    assert _assert_refused(client, answer) == "The log-in with Example did not work. Try again."
    assert not User.objects.exists()
    assert not OidcIdentity.objects.exists()


def test_answer__in_a_browser_that_did_not_ask__is_refused(client: Client, at: Provider) -> None:
    back = _at_the_provider(client)

    _assert_refused(other := Client(), other.get(back))


def test_answer__with_the_state_of_another_log_in__is_refused(client: Client, at: Provider) -> None:
    first = _at_the_provider(client)
    _at_the_provider(client)

    _assert_refused(client, client.get(first))


def test_answer__used_twice__counts_once(client: Client, at: Provider) -> None:
    back = _at_the_provider(client)
    begun = client.cookies["oidc"].value
    client.get(back)
    (other := Client()).cookies["oidc"] = begun

    _assert_refused(other, other.get(back))


def test_code__stolen_with_another_verifier__is_refused_by_the_provider(client: Client, at: Provider) -> None:
    code = parse_qs(urlsplit(_at_the_provider(Client())).query)["code"][0]
    state = parse_qs(urlsplit(_at_the_provider(client)).query)["state"][0]

    _assert_refused(client, client.get("/accounts/oidc/callback/", {"code": code, "state": state}))


def test_answer__that_says_no__is_refused(client: Client, at: Provider) -> None:
    state = parse_qs(urlsplit(_at_the_provider(client)).query)["state"][0]

    answer = client.get("/accounts/oidc/callback/", {"error": "access_denied", "state": state})

    _assert_refused(client, answer)


@pytest.mark.parametrize(
    "described", [{"issuer": "https://evil.example"}, {"token_endpoint": "ftp://x"}, {"jwks_uri": None}]
)
def test_provider__described_wrongly__is_not_used(client: Client, at: Provider, described: Claims) -> None:
    at.described = described

    _assert_refused(client, client.get("/accounts/oidc/"))


def test_provider__away__is_said(client: Client, at: Provider, settings: Settings) -> None:
    settings.OIDC_ISSUER = "http://127.0.0.1:9"

    answer = client.get("/accounts/oidc/")

    assert _assert_refused(client, answer) == "Example does not answer. Try again later."


def test_provider__that_did_not_answer__is_not_asked_again_for_a_moment(
    client: Client, at: Provider, settings: Settings
) -> None:
    """A call of a provider that hangs keeps a thread for seconds: others would soon have none."""
    answer = _at_the_provider(client)
    at.hangs_up = True
    client.get(answer)
    asked = at.calls

    refused = (other := Client()).get("/accounts/oidc/")

    assert _assert_refused(other, refused) == "Example does not answer. Try again later."
    assert at.calls == asked


@pytest.mark.parametrize(
    "more", [{"email_verified": False}, {"email_verified": None}, {"email": ""}, {"email": 7}]
)
def test_address__not_verified__makes_and_opens_no_account(
    client: Client, at: Provider, more: Claims
) -> None:
    User.objects.create_user("ann@example.com")
    at.person |= more

    answer = _log_in(client)

    assert "does not say that your email address is verified" in _assert_refused(client, answer)
    assert not OidcIdentity.objects.exists()


@pytest.mark.parametrize(("said", "is_let_in"), [(None, True), (True, True), (False, False)])
def test_address__provider_that_is_trusted_with_addresses__need_not_say_verified(
    client: Client, at: Provider, settings: Settings, said: bool | None, is_let_in: bool
) -> None:
    settings.OIDC_TRUST_EMAIL = True
    at.person.pop("email_verified")
    if said is not None:
        at.person["email_verified"] = said

    _log_in(client)

    assert (_who(client) is not None) is is_let_in


def test_account__invited__is_opened_with_its_role(client: Client, at: Provider) -> None:
    user = invite_user(email="ann@example.com", name="", role=Role.ANALYST, now=NOW)

    _log_in(client)

    assert _who(client) == "ann@example.com"
    assert UserSettings.objects.get(user=user).invited_at is None
    assert role_of(User.objects.get()) is Role.ANALYST


def test_account__of_another_person_with_the_address_handed_on__stays_shut(
    client: Client, at: Provider
) -> None:
    _log_in(client)
    at.person["sub"] = "4711"

    answer = _log_in(other := Client())

    assert "cannot be opened with Example" in _assert_refused(other, answer)
    assert OidcIdentity.objects.count() == 1


def test_account__whose_person_was_forgotten__is_opened_by_the_next_with_its_address(
    client: Client, at: Provider
) -> None:
    _log_in(client)
    at.person["sub"] = "4711"

    call_command("forget_identities", "Ann@example.com")
    _log_in(other := Client())

    assert _who(other) == "ann@example.com"
    assert OidcIdentity.objects.get().subject == "4711"


def test_account__unknown__is_not_forgotten() -> None:
    with pytest.raises(CommandError, match="There is no user 'bob'"):
        call_command("forget_identities", "bob")


def test_account__two_with_the_address__is_neither(client: Client, at: Provider) -> None:
    User.objects.create_user("ann", email="ann@example.com")
    User.objects.create_user("ann@example.com")

    _assert_refused(client, _log_in(client))

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

    _log_in(client)

    assert (_who(client), client.get("/dashboard/").status_code) == ("eve", 200)
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

    _log_in(client)

    assert _who(client) == name
    assert User.objects.get().check_password("for-a-bad-day")


@pytest.mark.parametrize("sign", ["mi\u212ae", "\u017fam"], ids=["Kelvin", "long s"])
def test_account__of_another_person_whose_letters_the_sign_folds_to__stays_shut(
    client: Client, at: Provider, sign: str
) -> None:
    for name in ("mike", "sam"):
        User.objects.create_user(name, email=f"{name}@example.com")
        User.objects.create_user(f"{name}@example.org")
    at.person |= {"email": f"{sign}@example.com"}

    _log_in(client)
    at.person |= {"email": f"{sign}@example.org", "sub": "4711"}
    _log_in(other := Client())

    assert (_who(client), _who(other)) == (f"{sign}@example.com", f"{sign}@example.org")
    assert User.objects.count() == 6


def test_account__deactivated__stays_shut(client: Client, at: Provider) -> None:
    User.objects.create_user("ann@example.com", is_active=False)

    _assert_refused(client, _log_in(client))


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

    _log_in(client)

    assert role_of(User.objects.get(username="ann@example.com")) is role


def test_role__of_the_last_administrator__stays_without_a_group(
    client: Client, at: Provider, settings: Settings
) -> None:
    settings.OIDC_GROUPS_CLAIM, settings.OIDC_ROLES = "groups", {"platform": "admin"}
    at.person["groups"] = ["platform"]
    _log_in(client)
    at.person["groups"] = []

    _log_in(client)

    assert role_of(User.objects.get()) is Role.ADMIN


def test_userinfo__of_another_subject__is_refused(client: Client, at: Provider) -> None:
    at.userinfo["sub"] = "4711"

    _assert_refused(client, _log_in(client))


@pytest.mark.parametrize("oddity", [[{"sub": "0815"}], "0815", 815])
def test_userinfo__of_another_shape__is_refused(client: Client, at: Provider, oddity: Any) -> None:
    at.oddity = oddity

    _assert_refused(client, _log_in(client))


def test_userinfo__against_the_token__does_not_count(client: Client, at: Provider) -> None:
    at.userinfo |= {"email": "root@example.com", "email_verified": True}

    _log_in(client)

    assert _who(client) == "ann@example.com"


def test_lockout__of_the_password__does_not_shut_out_of_the_provider(client: Client, at: Provider) -> None:
    User.objects.create_user("ann@example.com", password="right")
    for _ in range(5):
        client.post("/accounts/login/", {"username": "ann@example.com", "password": "wrong"})

    _log_in(client)

    assert _who(client) == "ann@example.com"


def test_logout__of_who_came_by_the_provider__offers_to_end_the_session_there(
    client: Client, at: Provider
) -> None:
    _log_in(client)

    page = client.post("/accounts/logout/", follow=True)
    there = client.get("/accounts/oidc/logout/")

    assert _who(client) is None
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


@pytest.mark.database_free
def test_oidc__switched_off__is_not_there(client: Client) -> None:
    assert b"oidc" not in client.get("/accounts/login/").content
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
