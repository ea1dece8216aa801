"""Tokens and answers of the provider: only what was asked for here counts."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from bandit_project.models import OidcIdentity
from tests.bandit_project.administration.oidc.person import assert_refused, at_the_provider, log_in
from tests.bandit_project.administration.oidc.provider import (
    CLIENT,
    Claims,
    Provider,
    new_key,
)

pytestmark = pytest.mark.django_db


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

    answer = log_in(client)

    assert assert_refused(client, answer) == "The log-in with Example did not work. Try again."
    assert not User.objects.exists()
    assert not OidcIdentity.objects.exists()


def test_answer__in_a_browser_that_did_not_ask__is_refused(client: Client, at: Provider) -> None:
    back = at_the_provider(client)

    assert_refused(other := Client(), other.get(back))


def test_answer__with_the_state_of_another_log_in__is_refused(client: Client, at: Provider) -> None:
    first = at_the_provider(client)
    at_the_provider(client)

    assert_refused(client, client.get(first))


def test_answer__used_twice__counts_once(client: Client, at: Provider) -> None:
    back = at_the_provider(client)
    begun = client.cookies["oidc"].value
    client.get(back)
    (other := Client()).cookies["oidc"] = begun

    assert_refused(other, other.get(back))


def test_code__stolen_with_another_verifier__is_refused_by_the_provider(client: Client, at: Provider) -> None:
    code = parse_qs(urlsplit(at_the_provider(Client())).query)["code"][0]
    state = parse_qs(urlsplit(at_the_provider(client)).query)["state"][0]

    assert_refused(client, client.get("/accounts/oidc/callback/", {"code": code, "state": state}))


def test_answer__that_says_no__is_refused(client: Client, at: Provider) -> None:
    state = parse_qs(urlsplit(at_the_provider(client)).query)["state"][0]

    answer = client.get("/accounts/oidc/callback/", {"error": "access_denied", "state": state})

    assert_refused(client, answer)


@pytest.mark.parametrize(
    "described", [{"issuer": "https://evil.example"}, {"token_endpoint": "ftp://x"}, {"jwks_uri": None}]
)
def test_provider__described_wrongly__is_not_used(client: Client, at: Provider, described: Claims) -> None:
    at.described = described

    assert_refused(client, client.get("/accounts/oidc/"))


def test_provider__away__is_said(client: Client, at: Provider, settings: Settings) -> None:
    settings.OIDC_ISSUER = "http://127.0.0.1:9"

    answer = client.get("/accounts/oidc/")

    assert assert_refused(client, answer) == "Example does not answer. Try again later."
