"""Keys, tokens and signatures are stored as digests and compared in constant time."""

import ast
import datetime as dt
import hmac
import secrets
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from rest_framework_api_key import crypto

from bandit_project.models import ApiKey, Scope
from bandit_project.ops.metrics import views as metrics_view
from notifications.transport import signature
from tests.conftest import ROOT
from tests.factory import NOW
from tests.security.callers import program

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


@pytest.fixture(autouse=True)
def as_in_production(settings: Any) -> None:
    settings.API_KEY_REQUIRED = True


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 200),
        ({"expiry_date": NOW + dt.timedelta(seconds=1)}, 200),
        ({"expiry_date": NOW - dt.timedelta(seconds=1)}, 401),
        ({"revoked": True}, 401),
    ],
)
def test_key__expired_or_revoked__opens_nothing(fields: dict[str, Any], status: int) -> None:
    client = program("admin", **fields)

    assert client.get("/api/v1/experiments/").status_code == status
    assert client.get("/experiments").status_code == status


def test_key__revoked_while_it_is_used__is_refused_at_the_next_call() -> None:
    client = program("read")
    assert client.get("/experiments").status_code == 200

    ApiKey.objects.update(revoked=True)

    assert client.get("/experiments").status_code == 401


def test_key__wrong_beside_a_session__is_refused_and_not_forgiven() -> None:
    client = Client(headers={"Authorization": "Api-Key wrong.wrong"})
    client.force_login(get_user_model().objects.create_superuser("op"))

    assert client.get("/api/v1/experiments/").status_code == 401


def test_database_copied__keys_and_passwords__are_digests_alone() -> None:
    key_row, key = ApiKey.objects.create_key(name="shop", scope=Scope.ADMIN)
    user = get_user_model().objects.create_user("ann", password="a long password 1")

    assert key.partition(".")[2] not in str(vars(key_row))
    assert key_row.hashed_key.startswith("sha512$$")
    assert user.password.startswith("pbkdf2_sha256$")
    # the digest is no key
    stolen = Client(headers={"Authorization": f"Api-Key {key_row.prefix}.{key_row.hashed_key}"})
    assert stolen.get("/experiments").status_code == 401


def test_session_of_a_copied_database__new_secret_key__is_over(settings: Any) -> None:
    settings.DASHBOARD_LOGIN_REQUIRED = True
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("ann"))
    assert client.get("/dashboard/").status_code == 200

    settings.SECRET_KEY = secrets.token_urlsafe(50)

    assert client.get("/dashboard/").status_code == 302


def test_key__made__is_longer_than_anyone_guesses() -> None:
    _, key = ApiKey.objects.create_key(name="shop", scope=Scope.READ)

    assert len(key.partition(".")[2]) >= 32


@pytest.mark.parametrize(
    ("module", "function", "call"),
    [
        (crypto.__file__, "verify", "constant_time_compare"),
        (metrics_view.__file__, "_has_token", "compare_digest"),
    ],
)
def test_comparison__of_a_secret__takes_the_same_time_wherever_it_differs(
    module: str, function: str, call: str
) -> None:
    bodies = [
        node
        for node in ast.walk(ast.parse(Path(module).read_text()))
        if isinstance(node, ast.FunctionDef) and node.name == function
    ]

    assert call in ast.unparse(bodies[0])
    compared = [ast.unparse(node) for node in ast.walk(bodies[0]) if isinstance(node, ast.Compare)]
    assert [text for text in compared if "==" in text and "lower()" not in text] == []


def test_signature__as_the_handbook_verifies_it__is_compared_in_constant_time() -> None:
    assert "hmac.compare_digest" in (ROOT / "docs/operations.md").read_text()


def test_signature__of_another_time_body_or_secret__is_another() -> None:
    right = signature("secret", b"{}", 1)
    others = [signature("secret", b"{}", 2), signature("secret", b"{ }", 1), signature("other", b"{}", 1)]

    assert not any(hmac.compare_digest(right.split("v1=")[1], other.split("v1=")[1]) for other in others)


def test_metrics__token_beside_the_right_one__is_refused(settings: Any) -> None:
    settings.METRICS_TOKEN = secrets.token_urlsafe(32)

    for given in ("", settings.METRICS_TOKEN[:-1], f"{settings.METRICS_TOKEN}x", "\u00fc"):
        assert Client().get("/metrics", headers={"Authorization": f"Bearer {given}"}).status_code == 401
    right = Client().get("/metrics", headers={"Authorization": f"Bearer {settings.METRICS_TOKEN}"})
    assert right.status_code == 200
