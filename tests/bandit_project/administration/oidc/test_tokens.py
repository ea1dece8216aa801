"""Tokens and answers of the provider: only what was asked for here counts."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from jwt.utils import base64url_encode
from pytest_django import Settings

from bandit_project.models import OidcIdentity
from tests.bandit_project.administration.oidc.person import assert_refused, at_the_provider, log_in, who
from tests.bandit_project.administration.oidc.provider import (
    CLIENT,
    Claims,
    Provider,
    new_key,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database_free]


def _other(name: str, value: Any) -> Callable[[Provider, Claims], str]:
    return lambda at, claims: at.signed({**claims, name: value})


def _without(name: str) -> Callable[[Provider, Claims], str]:
    return lambda at, claims: at.signed({k: v for k, v in claims.items() if k != name})


def _public(at: Provider) -> bytes:
    return at.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _signed_by_hand(claims: Claims, secret: bytes) -> str:
    """Sign with HS256 and any secret: PyJWT takes no public key for one."""
    head = {"alg": "HS256", "kid": "one", "typ": "JWT"}
    content = b".".join(base64url_encode(json.dumps(part).encode()) for part in (head, claims))
    signature = hmac.new(secret, content, hashlib.sha256).digest()
    return b".".join((content, base64url_encode(signature))).decode()


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
    "no key named, and signed by somebody else": lambda at, c: jwt.encode(c, new_key(), algorithm="RS256"),
    "no signature": lambda at, c: jwt.encode(c, "", algorithm="none", headers={"kid": "one"}),
    "signed with the public key as a secret": lambda at, c: _signed_by_hand(c, _public(at)),
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


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait long for an answer, and remember a silence longer than a busy machine takes."""
    for name in ("TIMEOUT_SECONDS", "TOTAL_SECONDS", "_SILENT_SECONDS"):
        monkeypatch.setattr(f"bandit_project.administration.oidc.provider.{name}", 300)


@pytest.mark.parametrize("part", ["head", "body"])
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/keys", "/userinfo"])
def test_provider__that_answers_byte_by_byte__is_given_up_after_the_time_of_an_exchange(
    client: Client, at: Provider, monkeypatch: pytest.MonkeyPatch, path: str, part: str
) -> None:
    """Each byte comes well within the time limit of a read."""
    monkeypatch.setattr("bandit_project.administration.oidc.provider.TOTAL_SECONDS", 1)
    back = at_the_provider(client)
    if path.startswith("/.well-known"):
        cache.clear()
    at.drips = path, part

    answer = client.get(back)

    assert assert_refused(client, answer) == "Example does not answer. Try again later."


def test_provider__asked_by_many_at_once__holds_few_threads(
    client: Client, at: Provider, patience: None
) -> None:
    log_in(client)  # it answers
    cache.clear()
    at.asked.clear()
    at.answers.clear()
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(Client().get, "/accounts/oidc/") for _ in range(3)]
        _wait_until(lambda: len(at.asked) == 3)

        answer = (other := Client()).get("/accounts/oidc/")
        at.answers.set()

    assert assert_refused(other, answer) == "Too many requests. Try again later."
    assert [done.result()["Location"].startswith(at.issuer) for done in waiting] == [True] * 3
    assert len(at.asked) == 3


def test_provider__after_a_silence__holds_one_thread_until_it_answers(
    client: Client, at: Provider, settings: Settings, patience: None
) -> None:
    settings.OIDC_ISSUER = "http://127.0.0.1:9"
    client.get("/accounts/oidc/")
    settings.OIDC_ISSUER = at.issuer
    at.answers.clear()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(Client().get, "/accounts/oidc/")
        _wait_until(lambda: bool(at.asked))

        answer = (other := Client()).get("/accounts/oidc/")
        at.answers.set()

    assert assert_refused(other, answer) == "Example does not answer. Try again later."
    assert waiting.result()["Location"].startswith(at.issuer)
    log_in(other)
    assert who(other) == "ann@example.com"


def _wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_keys__of_the_provider__are_remembered_until_it_has_another(client: Client, at: Provider) -> None:
    for _ in range(3):
        log_in(Client())
    assert (at.asked.count("/keys"), at.asked.count("/.well-known/openid-configuration")) == (1, 1)

    at.key, at.key_id = new_key(), "two"
    log_in(client)

    assert who(client) == "ann@example.com"
    assert at.asked.count("/keys") == 2


@pytest.mark.parametrize(("number", "expected"), [(1, "ann@example.com"), (2, None)])
def test_token__that_names_no_key__counts_where_the_provider_has_one_key(
    client: Client, at: Provider, number: int, expected: str | None
) -> None:
    at.more_keys = [{"kty": "oct", "kid": "two", "k": "c2VjcmV0"}][: number - 1]
    at.sign = lambda claims: jwt.encode(claims, at.key, algorithm="RS256")

    log_in(client)

    assert who(client) == expected
