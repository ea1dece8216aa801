"""The door of what visitors' software calls: keys at each request, and a connection that has died."""

import datetime as dt

import pytest
from django.db import connection
from rest_framework.test import APIClient

from bandit_project.api.served import _Holders
from bandit_project.models import ApiKey
from tests.factory import NOW, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

PATHS = ("/api/v1/ruleset/", "/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/button-colour")


def _ask(client: APIClient, path: str) -> int:
    if path == PATHS[0]:
        return int(client.get(path).status_code)
    return int(client.post(path, {"context": {"targetingKey": "visitor-42"}}).status_code)


@pytest.mark.parametrize("path", PATHS)
def test_key__revoked_or_expired_while_it_is_used__is_refused_at_the_next_call(
    shop: APIClient, path: str
) -> None:
    make_running()
    key = ApiKey.objects.get()
    assert _ask(shop, path) == 200

    ApiKey.objects.filter(pk=key.pk).update(expiry_date=NOW - dt.timedelta(seconds=1))
    assert _ask(shop, path) == 401
    ApiKey.objects.filter(pk=key.pk).update(expiry_date=NOW + dt.timedelta(seconds=1))
    assert _ask(shop, path) == 200
    ApiKey.objects.filter(pk=key.pk).update(revoked=True)
    assert _ask(shop, path) == 401


@pytest.mark.parametrize("given", ["{prefix}.wrong", "{prefix}", "wrong.wrong", "\u00fc.x", "a\x00.b", "."])
def test_key__wrong__is_refused(api: APIClient, shop: APIClient, given: str) -> None:
    api.credentials(HTTP_X_API_KEY=given.format(prefix=ApiKey.objects.get().prefix))

    assert [_ask(api, path) for path in PATHS] == [401, 401, 401]


def test_key__used__notes_when_once_in_a_while(shop: APIClient) -> None:
    _ask(shop, PATHS[0])
    assert ApiKey.objects.get().last_used_at == NOW

    recent, old = NOW - dt.timedelta(seconds=50), NOW - dt.timedelta(seconds=61)
    for noted, expected in ((recent, recent), (old, NOW)):
        ApiKey.objects.update(last_used_at=noted)
        _ask(shop, PATHS[0])
        assert ApiKey.objects.get().last_used_at == expected


@pytest.mark.parametrize("scope", ["serve", "read", "write", "admin"])
def test_key__of_each_scope__opens(api: APIClient, scope: str) -> None:
    make_running()
    api.credentials(HTTP_X_API_KEY=ApiKey.objects.create_key(name=scope, scope=scope)[1])

    assert [_ask(api, path) for path in PATHS] == [200, 200, 200]


@pytest.mark.django_db(transaction=True)
def test_request__connection_that_died_meanwhile__is_answered_by_another(shop: APIClient) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite's connections do not die")
    make_running()
    assert _ask(shop, PATHS[1]) == 200

    connection.connection.close()  # as a server that restarts does

    assert _ask(shop, PATHS[1]) == 200


@pytest.mark.django_db(transaction=True)
def test_request__server_that_forgot_the_prepared_statement__is_answered_all_the_same(
    shop: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pooler may give each statement another server."""
    if connection.vendor != "postgresql":
        pytest.skip("nothing is prepared on SQLite")
    monkeypatch.setattr("bandit_project.api.served._held_by", _Holders())
    make_running()
    assert _ask(shop, PATHS[1]) == 200
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")

    assert [_ask(shop, PATHS[1]) for _ in range(3)] == [200, 200, 200]


def test_host__that_is_not_ours__is_refused(shop: APIClient) -> None:
    assert shop.get(PATHS[0], headers={"Host": "evil.example.com"}).status_code == 400
