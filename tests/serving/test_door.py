"""The door of what visitors' software calls: keys at each request, and a connection that has died."""

import datetime as dt

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from bandit_project.models import ApiKey
from experiments.models import Experiment
from tests.factory import NOW, make_running
from tests.serving.conftest import Client

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


def test_memory__nothing_has_changed__costs_no_query(
    shop: APIClient, settings: Settings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    settings.SERVE_REMEMBER_SECONDS = settings.API_KEY_REMEMBER_SECONDS = 60
    make_running()
    assert [_ask(shop, path) for path in PATHS] == [200, 200, 200]

    with django_assert_num_queries(0):
        assert [_ask(shop, path) for path in PATHS] == [200, 200, 200]


@pytest.mark.parametrize("path", PATHS)
def test_memory__key_is_revoked__opens_until_the_memory_ends(
    shop: APIClient, settings: Settings, path: str
) -> None:
    settings.API_KEY_REMEMBER_SECONDS = 5
    make_running()
    assert _ask(shop, path) == 200

    ApiKey.objects.update(revoked=True)

    assert _ask(shop, path) == 200
    settings.API_KEY_REMEMBER_SECONDS = 0
    assert _ask(shop, path) == 401


def test_memory__key_is_revoked__opens_every_other_call_too_until_the_memory_ends(
    client_with: Client, settings: Settings
) -> None:
    settings.API_KEY_REMEMBER_SECONDS = 5
    experiment, client = make_running(), client_with("write")
    path = f"/experiments/{experiment.pk}/history"
    assert client.get(path).status_code == 200

    ApiKey.objects.update(revoked=True)

    assert client.get(path).status_code == 200
    settings.API_KEY_REMEMBER_SECONDS = 0
    assert client.get(path).status_code == 401


def test_memory__key_expires__opens_nothing_from_that_moment_on(
    client_with: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.API_KEY_REMEMBER_SECONDS = 60
    client = client_with("read")
    ApiKey.objects.update(expiry_date=NOW + dt.timedelta(seconds=1))
    assert _ask(client, PATHS[0]) == 200

    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW + dt.timedelta(seconds=2))

    assert _ask(client, PATHS[0]) == 401


def test_memory__experiment_is_archived__is_served_until_the_memory_ends(
    shop: APIClient, settings: Settings
) -> None:
    settings.SERVE_REMEMBER_SECONDS = 60
    make_running()
    assert _ask(shop, PATHS[2]) == 200

    Experiment.objects.update(archived_at=NOW)

    assert _ask(shop, PATHS[2]) == 200
    settings.SERVE_REMEMBER_SECONDS = 0
    assert _ask(shop, PATHS[2]) == 404


def test_memory__two_keys__see_a_change_at_the_same_moment(client_with: Client, settings: Settings) -> None:
    settings.SERVE_REMEMBER_SECONDS = 60
    make_running()
    first, second = client_with("serve"), client_with("serve")
    assert _ask(first, PATHS[2]) == 200

    Experiment.objects.update(archived_at=NOW)

    assert (_ask(second, PATHS[2]), _ask(first, PATHS[2])) == (200, 200)
    settings.SERVE_REMEMBER_SECONDS = 0
    assert (_ask(second, PATHS[2]), _ask(first, PATHS[2])) == (404, 404)


def test_memory__wrong_key__is_asked_for_each_time(
    api: APIClient, shop: APIClient, settings: Settings
) -> None:
    settings.API_KEY_REMEMBER_SECONDS = 60
    made = ApiKey.objects.get()
    api.credentials(HTTP_X_API_KEY=shop._credentials["HTTP_X_API_KEY"])  # type: ignore[attr-defined]  # the stubs leave it out
    ApiKey.objects.update(revoked=True)
    assert _ask(api, PATHS[1]) == 401

    ApiKey.objects.filter(pk=made.pk).update(revoked=False)

    assert _ask(api, PATHS[1]) == 200


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
    shop: APIClient,
) -> None:
    """A pooler may give each statement another server."""
    if connection.vendor != "postgresql":
        pytest.skip("nothing is prepared on SQLite")
    make_running()
    assert [_ask(shop, PATHS[1]) for _ in range(5)] == [200] * 5
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")

    assert [_ask(shop, PATHS[1]) for _ in range(3)] == [200, 200, 200]


def test_host__that_is_not_ours__is_refused(shop: APIClient) -> None:
    assert shop.get(PATHS[0], headers={"Host": "evil.example.com"}).status_code == 400
