"""Who may call what: keys and their scopes, sessions, throttles, origins."""

import datetime as dt
import io
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from bandit_project.api.errors import problem_codes
from bandit_project.models import ApiKey
from tests.conftest import ROOT
from tests.factory import NOW, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

READS = ["/experiments", "/api/v1/experiments/", "/download-template", "/api/v1/events/template.csv"]


@pytest.fixture(autouse=True)
def keys_required(settings: Settings) -> None:
    settings.API_KEY_REQUIRED = True
    cache.clear()


def _client(scope: str, **fields: Any) -> APIClient:
    _, key = ApiKey.objects.create_key(name="test", scope=scope, **fields)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {key}")
    return client


@pytest.mark.parametrize("path", READS)
def test_no_key__either_api__is_401_as_a_problem(api: APIClient, path: str) -> None:
    response = api.get(path)

    assert (response.status_code, response["Content-Type"]) == (401, "application/problem+json")
    assert response["WWW-Authenticate"] == "Api-Key"


def test_key__where_none_is_required__is_held_to_its_scope_and_a_blank_one_is_none(
    settings: Settings,
) -> None:
    settings.API_KEY_REQUIRED = False
    experiment, blank = make_running(), APIClient()
    blank.credentials(HTTP_AUTHORIZATION="Api-Key ")

    assert _client("read").delete(f"/api/v1/experiments/{experiment.pk}/").status_code == 403
    assert _client("write").post("/reset_data").status_code == 403
    assert blank.get("/api/v1/experiments/").status_code == 200
    assert blank.delete(f"/api/v1/experiments/{experiment.pk}/").status_code == 204


@pytest.mark.parametrize("path", ["/health", "/docs", "/schema", "/dashboard/"])
def test_no_key__health_and_pages__stay_open(api: APIClient, path: str) -> None:
    assert api.get(path).status_code == 200


@pytest.mark.parametrize(
    "given", ["Api-Key wrong.wrong", "Api-Key ", "Api-Key \u00fc.x", "Bearer x", "Api-Key a.b.c"]
)
def test_wrong_key__is_401(given: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=given)

    assert client.get("/experiments").status_code == 401


def test_expired_and_revoked_keys__are_401() -> None:
    assert _client("read", expiry_date=NOW - dt.timedelta(seconds=1)).get("/experiments").status_code == 401
    assert _client("read", revoked=True).get("/experiments").status_code == 401


@pytest.mark.parametrize(
    ("scope", "read", "write", "delete", "reset"),
    [
        ("serve", 403, 403, 403, 403),
        ("read", 200, 403, 403, 403),
        ("write", 200, 201, 403, 403),
        ("admin", 200, 201, 204, 200),
    ],
)
def test_scopes__each_allows_what_it_says(
    settings: Settings, scope: str, read: int, write: int, delete: int, reset: int
) -> None:
    settings.ALLOW_RESET = True
    client, experiment = _client(scope), make_running()

    assert client.get("/api/v1/experiments/").status_code == read
    assert client.post("/api/v1/experiments/", {"name": "x"}).status_code == write
    assert client.delete(f"/api/v1/experiments/{experiment.key}/").status_code == delete
    assert client.post("/reset_data").status_code == reset


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("HTTP_AUTHORIZATION", "Api-Key {}"),
        ("HTTP_AUTHORIZATION", "bearer {}"),
        ("HTTP_X_API_KEY", "{}"),
        ("HTTP_X_API_KEY", " {} "),
    ],
)
def test_key__each_way_to_send_it__opens(header: str, form: str) -> None:
    _, key = ApiKey.objects.create_key(name="test", scope="read")
    client = APIClient()

    client.credentials(**{header: form.format(key)})

    assert client.get("/api/v1/experiments/").status_code == 200
    assert client.get("/api/v1/ruleset/").status_code == 200


def test_key__two_different_ones__authorization_wins() -> None:
    _, key = ApiKey.objects.create_key(name="test", scope="read")
    client = APIClient()

    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}", HTTP_X_API_KEY="wrong.wrong")
    assert client.get("/experiments").status_code == 200

    client.credentials(HTTP_AUTHORIZATION="Basic abc", HTTP_X_API_KEY=key)
    assert client.get("/experiments").status_code == 200


def test_reset__admin_key_without_the_setting__is_403(settings: Settings) -> None:
    settings.ALLOW_RESET = False

    assert _client("admin").post("/reset_data").json()["code"] == "reset_forbidden"


def test_read_key__computes_what_writes_nothing() -> None:
    body = {"rates": [0.1, 0.2], "days": 2, "runs": 1}

    assert _client("read").post("/api/v1/simulations/", body).status_code == 200


def test_key__used__notes_when() -> None:
    _client("read").get("/experiments")

    assert ApiKey.objects.get().last_used_at == NOW


def test_create_api_key__prints_the_key_alone_and_stores_a_digest() -> None:
    out, err = io.StringIO(), io.StringIO()

    call_command("create_api_key", "shop", "--scope", "write", "--days", "30", stdout=out, stderr=err)

    key = out.getvalue().strip()
    stored = ApiKey.objects.get()
    assert (stored.name, stored.scope, stored.expiry_date) == ("shop", "write", NOW + dt.timedelta(days=30))
    assert key not in str(vars(stored))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {key}")
    assert client.get("/experiments").status_code == 200


@pytest.mark.parametrize("days", ["0", "-3", "99999999999", "soon"])
def test_create_api_key__impossible_days__are_refused(days: str) -> None:
    with pytest.raises(CommandError, match="whole number from 1 to"):
        call_command("create_api_key", "shop", f"--days={days}")

    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("name", ["", " ", "shop\nweb", "x" * 51])
def test_create_api_key__bad_name__is_refused_with_the_limit(name: str) -> None:
    with pytest.raises(CommandError, match=r"is no name of a key\. Use 1 to 50 visible characters"):
        call_command("create_api_key", name)

    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(("group", "code"), [("viewer", 403), ("analyst", 201), ("admin", 201)])
def test_session__writes_from_the_role_of_an_analyst_on(group: str, code: int, settings: Settings) -> None:
    settings.API_KEY_REQUIRED = True
    user = get_user_model().objects.create_user("ann", password="pw")
    user.groups.add(Group.objects.get(name=group))
    client = Client()
    client.force_login(user)

    response = client.post("/api/v1/experiments/", {"name": "x"}, content_type="application/json")

    assert (client.get("/api/v1/experiments/").status_code, response.status_code) == (200, code)


def test_session__write_needs_the_csrf_token() -> None:
    user = get_user_model().objects.create_user("ann", password="pw", is_staff=True)
    user.groups.add(Group.objects.get(name="analyst"))
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)

    assert client.get("/api/v1/experiments/").status_code == 200
    response = client.post("/api/v1/experiments/", {"name": "x"}, content_type="application/json")
    assert (response.status_code, response["Content-Type"]) == (403, "application/problem+json")


def test_throttle__past_the_rate__is_429_with_retry_after_for_that_key_alone(settings: Settings) -> None:
    settings.THROTTLE_RATES = {"read": "2/min", "write": None}
    one, other = _client("read"), _client("read")

    assert [one.get("/experiments").status_code for _ in range(3)] == [200, 200, 429]
    response = one.get("/experiments")
    assert response.json()["code"] == "throttled"
    assert 0 < int(response["Retry-After"]) <= 60
    assert other.get("/experiments").status_code == 200


def test_cors__off_by_default_and_on_for_named_origins(settings: Settings) -> None:
    client = _client("read")
    origin = {"Origin": "https://app.example.com"}

    assert "Access-Control-Allow-Origin" not in client.get("/api/v1/experiments/", headers=origin)
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example.com"]
    assert (
        client.get("/api/v1/experiments/", headers=origin)["Access-Control-Allow-Origin"] == origin["Origin"]
    )


def test_cors__a_program_that_names_no_origin__gets_an_answer_that_caches_keep_apart(api: APIClient) -> None:
    answer, from_a_page = api.get("/experiments"), api.get("/experiments", HTTP_ORIGIN="https://else.example")

    assert "origin" in answer["Vary"].lower()
    assert answer["Vary"] == from_a_page["Vary"]
    assert "origin" not in api.get("/accounts/login/").get("Vary", "").lower()


def test_cors__refusals_of_any_call__can_be_read_by_a_named_origin(settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example.com"]
    settings.MAX_BODY_BYTES = 1024
    headers = {"Origin": "https://app.example.com"}

    response = Client().post("/upload-data", "x" * 2000, content_type="text/csv", headers=headers)

    assert (response.status_code, response["Access-Control-Allow-Origin"]) == (413, headers["Origin"])


def test_problem_codes__are_all_in_the_documentation() -> None:
    table = (ROOT / "docs/errors.md").read_text()

    for code, entry in problem_codes().items():
        assert f"| `{code}` | {entry['status']} | {entry['meaning']} |" in table
