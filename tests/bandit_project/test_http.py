"""Rules that hold for the service as a whole."""

from typing import Any

import pytest
import yaml
from django.db import OperationalError, connection
from django.test import Client, override_settings
from pytest_django import DjangoAssertNumQueries, Settings

from bandit_project.api.errors import PROBLEM_JSON

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/health", "/health/"])
def test_health__database_and_migrations_fine__is_200(client: Client, path: str, settings: Settings) -> None:
    settings.ENVIRONMENT = "staging"

    response = client.get(path)

    assert response.status_code == 200
    assert response.json() == {
        "status": "healthy",
        "database": "ok",
        "version": "0.1.0",
        "environment": "staging",
    }


def test_health__migration_pending__is_503(client: Client) -> None:
    from django.db.migrations.recorder import MigrationRecorder

    MigrationRecorder.Migration.objects.filter(app="allocation", name="0001_initial").delete()

    response = client.get("/health")

    assert (response.status_code, response.json()["database"]) == (503, "1 pending migrations")


def test_health__migration_taken_back_and_applied_again__is_known(client: Client) -> None:
    from django.db.migrations.recorder import MigrationRecorder

    applied = MigrationRecorder.Migration.objects
    codes = [client.get("/health").status_code]
    for change in (
        lambda: applied.filter(app="allocation", name="0001_initial").delete(),
        lambda: applied.create(app="allocation", name="another"),  # as many as before
        lambda: applied.create(app="allocation", name="0001_initial"),
        lambda: applied.filter(name="another").delete(),
    ):
        change()
        codes.append(client.get("/health").status_code)

    assert codes == [200, 503, 503, 200, 200]


def test_health__nothing_has_changed__reads_one_row(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client.get("/health")

    with django_assert_num_queries(1) as captured:
        client.get("/health")

    assert "count(*)" in captured.captured_queries[0]["sql"]


@pytest.mark.parametrize("path", ["/health", "/schema", "/docs", "/experiments", "/api/v1/events/"])
def test_wrong_method__anywhere__is_405_as_a_problem(path: str) -> None:
    response = Client(enforce_csrf_checks=True).delete(path)

    assert (response.status_code, response["Content-Type"]) == (405, "application/problem+json")
    assert response.json()["code"] == "method_not_allowed"
    assert response["Allow"]


def test_docs__options__is_405() -> None:
    response = Client().options("/docs")

    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path", ["/schema", "/experiments", "/api/v1/experiments/", "/api/v1/events/template.csv"]
)
def test_format_that_is_not_served__is_406_as_a_problem(client: Client, path: str) -> None:
    response = client.get(path, headers={"Accept": "image/png"})

    assert (response.status_code, response["Content-Type"]) == (406, "application/problem+json")
    assert response.json()["code"] == "not_acceptable"


def test_root__leads_to_the_dashboard(client: Client) -> None:
    assert client.get("/", follow=True).redirect_chain == [("/dashboard/", 302)]


@pytest.mark.parametrize("path", ["/docs", "/docs/", "/dashboard", "/dashboard/", "/admin", "/admin/"])
def test_pages__answer_html(client: Client, path: str) -> None:
    response = client.get(path, follow=True)

    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/html")


@pytest.mark.database_free
@pytest.mark.parametrize("path", ["/schema", "/schema/"])
def test_schema__names_all_nine_classic_calls_once(client: Client, path: str) -> None:
    document: dict[str, Any] = yaml.load(client.get(path).content, yaml.CSafeLoader)

    classic = {
        (method.upper(), route)
        for route, calls in document["paths"].items()
        for method, call in calls.items()
        if "classic" in call.get("tags", [])
    }
    assert classic == {
        ("POST", "/experiments"),
        ("GET", "/experiments"),
        ("GET", "/experiments/{reference}"),
        ("POST", "/events"),
        ("GET", "/allocation"),
        ("GET", "/experiments/{reference}/history"),
        ("POST", "/upload-data"),
        ("GET", "/download-template"),
        ("POST", "/reset_data"),
    }


def test_unknown_path__to_a_program__is_a_problem(client: Client) -> None:
    response = client.get("/nowhere", headers={"Accept": "application/json"})

    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")
    assert response.json()["code"] == "not_found"


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", True),
        ("application/json, text/html;q=0.5", True),
        ("Text/HTML", True),
        ("text/html;q=0, application/json", False),
        ("text/html; q=0.0", False),
        ("application/text/html", False),
        ("*/*", False),
        ("text/*", False),
        ("", False),
        (",;=", False),
    ],
)
def test_unknown_path__to_who_takes_a_page__is_one(client: Client, accept: str, is_page: bool) -> None:
    response = client.get("/nowhere", headers={"Accept": accept})

    assert (response.status_code, response["Content-Type"].startswith("text/html")) == (404, is_page)


@pytest.mark.parametrize("path", ["/events", "/api/v1/experiments/", "/accounts/login/"])
@pytest.mark.parametrize("length", ["9" * 19, "9" * 5000], ids=["19", "5000"])
@pytest.mark.parametrize("key", [{}, {"X-API-Key": "none"}], ids=["no key", "key"])
def test_body__of_a_length_with_very_many_digits__is_too_large(
    client: Client, path: str, length: str, key: dict[str, str]
) -> None:
    assert client.post(path, CONTENT_LENGTH=length, headers=key).status_code == 413


@pytest.mark.parametrize(
    ("length", "status"),
    [("0" * 5000, 200), ("-1", 400), ("1e3", 200), ("\u0661", 200)],
    ids=["zeros", "negative", "exponent", "other digit"],
)
def test_body__of_a_length_that_says_nothing__is_empty_or_refused(
    client: Client, length: str, status: int
) -> None:
    assert client.post("/accounts/login/", CONTENT_LENGTH=length).status_code == status


def test_unknown_path__to_a_browser__is_a_page(client: Client) -> None:
    response = client.get("/nowhere", headers={"Accept": "text/html"})

    assert response.status_code == 404
    assert b"Back to the experiments" in response.content


@pytest.mark.django_db(transaction=True)
def test_health__no_table_of_migrations__is_503_and_not_unreachable(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_migrations RENAME TO elsewhere")
    try:
        response = client.get("/health")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO django_migrations")

    assert (response.status_code, "pending migrations" in response.json()["database"]) == (503, True)


def test_security_headers__pages__are_strict(client: Client) -> None:
    policy = client.get("/dashboard/")["Content-Security-Policy"]

    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_security_headers__any_answer__may_not_be_embedded_elsewhere(client: Client) -> None:
    assert client.get("/experiments")["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("host", ["10.0.0.7:8000", "127.0.0.1", "localhost:8000"])
def test_health__called_by_address_without_tls__answers(
    client: Client, host: str, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT = ["bandit.example.com"], True

    assert client.get("/health", headers={"Host": host}).status_code == 200


def test_page__called_by_address__is_refused(client: Client, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["bandit.example.com"]

    assert client.get("/dashboard/", headers={"Host": "10.0.0.7:8000"}).status_code == 400


def test_page__without_tls_in_production__leads_to_https_on_the_same_host(
    client: Client, settings: Settings
) -> None:
    settings.SECURE_SSL_REDIRECT = True

    response = client.get("/dashboard/?a=1")

    assert (response.status_code, response["Location"]) == (301, "https://testserver/dashboard/?a=1")


@override_settings(DEBUG=False)
@pytest.mark.parametrize(("accept", "kind"), [("text/html", "text/html"), ("*/*", PROBLEM_JSON)])
def test_page__database_away__is_503_for_people_and_programs(
    monkeypatch: pytest.MonkeyPatch, accept: str, kind: str
) -> None:
    def down(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("gone")

    # the session is the first thing a page asks for
    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.load", down)
    client = Client(raise_request_exception=False)
    client.cookies["sessionid"] = "a" * 32

    response = client.get("/dashboard/", headers={"Accept": accept})

    assert response.status_code == 503
    assert response["Content-Type"].startswith(kind)
    assert response["Retry-After"] == "5"
