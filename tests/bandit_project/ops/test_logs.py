"""Lines of the log, and the secrets that they never hold."""

import json
import logging
import logging.config
import re
from typing import Any

import pytest
import structlog
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client, override_settings
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from bandit_project.models import ApiKey
from bandit_project.ops.logs import _IN_TEXT, LineFormatter, _as_json, logging_config, without_secrets
from tests.bandit_project.starts import start
from tests.factory import NOW, allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


@pytest.fixture
def committed(django_capture_on_commit_callbacks: Any) -> Any:
    """Runs what waits for a commit, as the test's own transaction never commits."""
    return django_capture_on_commit_callbacks


def _events(logs: list[Any], event: str) -> list[Any]:
    return [line for line in logs if line["event"] == event]


def test_log__decision__is_one_line_with_what_went_into_it(committed: Any) -> None:
    experiment = make_running()

    with structlog.testing.capture_logs() as logs, committed(execute=True):
        allocation = allocate(experiment)

    (line,) = _events(logs, "allocation.computed")
    assert line.pop("duration_ms") >= 0
    assert line == {
        "event": "allocation.computed",
        "log_level": "info",
        "experiment": experiment.pk,
        "target_date": "2025-09-01",
        "revision": 1,
        "kind": "optimized",
        "state": allocation.state,
        "inputs_digest": allocation.inputs_digest,
        "engine_version": allocation.engine_version,
        "bounds": {"cap_down": 1, "cap_up": 1},
    }


def test_log__decision_that_stands__says_nothing(committed: Any) -> None:
    experiment = make_running()
    allocate(experiment)

    with structlog.testing.capture_logs() as logs, committed(execute=True):
        allocate(experiment)

    assert logs == []


def test_log__ingestion__is_one_line(committed: Any) -> None:
    experiment = make_experiment()

    with structlog.testing.capture_logs() as logs, committed(execute=True):
        record(experiment, counts("control", 10, 1), counts("b", 10, 2))

    (line,) = logs
    assert line["event"] == "events.recorded"
    assert (line["source"], line["rows"], line["new_variants"], line["experiment"]) == (
        "api",
        2,
        2,
        experiment.pk,
    )


@pytest.mark.parametrize(
    "event",
    [
        {"event": "events.recorded", "rows": 4, "key": "a"},
        {"event": "token=a https://u:p@host/", "password": "p", "odd": object},
        {"event": "Ação", "exc_info": ValueError("Bearer abc")},
        {"event": "where", "stack": "File a"},
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_line__of_ours__is_what_structlog_makes_of_it(event: dict[str, object], *, as_json: bool) -> None:
    options = logging_config("INFO", json=as_json)["formatters"]["line"]
    kinds = (LineFormatter, structlog.stdlib.ProcessorFormatter)
    record = logging.makeLogRecord({"msg": event, "_logger": logging.getLogger("bandit"), "_name": "info"})
    before = dict(event)

    ours, theirs = (kind(processors=options["processors"]).format(record) for kind in kinds)

    assert ours == theirs
    assert event == before


def test_log__rolled_back_ingestion__says_nothing(committed: Any) -> None:
    experiment = make_experiment()

    with (
        structlog.testing.capture_logs() as logs,
        committed(execute=True),
        pytest.raises(Exception, match="clicks"),
    ):
        record(experiment, counts("control", 10, 11))

    assert logs == []


def test_request_id__sent_by_the_caller__comes_back_and_is_in_every_line(
    client: Client, committed: Any
) -> None:
    experiment = make_running()
    seen = []

    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        with committed(execute=True):
            response = client.post("/nothing-here", headers={"X-Request-ID": "abc-123"})
        seen = [line.get("request_id") for line in logs]

    assert experiment.pk
    assert response["X-Request-ID"] == "abc-123"
    assert seen
    assert set(seen) == {"abc-123"}


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", 'a"b', "ä"])
def test_request_id__missing_or_unsound__is_made(client: Client, given: str) -> None:
    response = client.get("/health/live", headers={"X-Request-ID": given})

    assert re.fullmatch(r"[0-9a-f-]{36}", response["X-Request-ID"])


def test_request_id__failure__is_in_the_problem(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr("experiments.api.classic.views.create_experiment", down)

    response = client.post(
        "/experiments", {"name": "x", "description": ""}, content_type="application/json",
        headers={"X-Request-ID": "req-7"},
    )  # fmt: skip

    assert (response.status_code, response.json()["request_id"]) == (503, "req-7")


@override_settings(DEBUG=False)
def test_request_id__fault_of_ours__is_in_the_problem_and_beside_the_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("experiments.api.classic.views.create_experiment", broken)
    client = Client(raise_request_exception=False)

    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        response = client.post(
            "/experiments", {"name": "x", "description": ""}, content_type="application/json",
            headers={"X-Request-ID": "req-8"},
        )  # fmt: skip

    assert (response.status_code, response.json()["request_id"]) == (500, "req-8")
    (failed,) = _events(logs, "request_failed")
    assert (failed["request_id"], type(failed["exc_info"])) == ("req-8", ZeroDivisionError)


@override_settings(DEBUG=True)
def test_log__requests_at_info__health_metrics_and_success_are_quiet(client: Client) -> None:
    with structlog.testing.capture_logs() as logs:
        for path in ("/health", "/health/live", "/metrics", "/experiments"):
            assert client.get(path).status_code == 200

    assert [line for line in logs if line["log_level"] != "debug"] == []


def test_log__refused_request__is_one_line_at_info_without_the_query(client: Client) -> None:
    with structlog.testing.capture_logs() as logs:
        assert client.get("/nothing-here?token=query-secret").status_code == 404

    (line,) = _events(logs, "request_finished")
    assert (line["log_level"], line["code"], line["request"]) == ("info", 404, "GET /nothing-here")


def test_log__each_line_of_a_request__names_address_and_key_or_user(
    client: Client, settings: Settings
) -> None:
    settings.LOG_REQUESTS, settings.PROXY_COUNT = True, 1
    _, key = ApiKey.objects.create_key(name="warehouse", scope="read")
    ann = User.objects.create_user("ann")
    seen = {"X-Forwarded-For": "203.0.113.7"}

    with structlog.testing.capture_logs() as logs:
        client.get("/experiments", headers={"Authorization": f"Api-Key {key}", **seen})
        client.get("/api/v1/experiments/none/", headers={"X-API-Key": key, **seen})
        client.force_login(ann)
        client.get("/dashboard/", headers=seen)
        client.get("/health", headers=seen)

    lines = [
        (line["log_level"], line["code"], line["address"], line.get("key"), line.get("user"))
        for line in _events(logs, "request_finished")
    ]
    assert lines == [
        ("info", 200, "203.0.113.7", "warehouse", None),
        ("info", 404, "203.0.113.7", "warehouse", None),
        ("info", 200, "203.0.113.7", None, "ann"),
    ]


def test_without_secrets__names_and_texts__are_cleaned() -> None:
    event = {
        "event": "x Api-Key abc.def y",
        "api_key": "abc",
        "Authorization": "Bearer abc",
        "url": "postgresql://user:hunter2@host/name",
        "header": "bearer abcdef",
        "rows": 3,
    }

    assert without_secrets(None, "info", event) == {
        "event": "x Api-Key [removed] y",
        "api_key": "[removed]",
        "Authorization": "[removed]",
        "url": "postgresql://user:[removed]@host/name",
        "header": "bearer [removed]",
        "rows": 3,
    }


@pytest.mark.database_free
@given(
    st.lists(
        st.sampled_from(["Bearer", "api-key", "abc", "s3cret", "://", "user:pw@", " ", "\t", "x"]), max_size=6
    )
)
def test_without_secrets__any_text__is_cleaned_as_by_every_pattern(parts: list[str]) -> None:
    text = expected = "".join(parts)
    for pattern, replacement in _IN_TEXT:
        expected = pattern.sub(replacement, expected)

    assert without_secrets(None, "info", {"event": text}) == {"event": expected}


@pytest.mark.parametrize("value", ["plain", "\u00fc\u2028\x9b", "\ud800", 2**70, {1: 2}, NOW])
def test_line__any_value__is_one_line_of_ascii(value: object) -> None:
    line = _as_json({"event": value}, default=repr)

    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert list(json.loads(line)) == ["event"]


def test_production_log__our_lines_and_the_libraries__are_json_objects_without_secrets() -> None:
    command = (
        "import django, logging; django.setup(); import structlog;"
        "from django.conf import settings;"
        "structlog.get_logger('bandit').info('events.recorded', rows=3, token=settings.SECRET_KEY);"
        "logging.getLogger('django.security').warning('from %s', 'elsewhere');\n"
        "try:\n  secret_in_a_local = settings.SECRET_KEY; 1 / 0\n"
        "except ZeroDivisionError:\n  logging.getLogger('x').exception('failed')"
    )
    variables = {
        "LOG_LEVEL": "DEBUG", "SECRET_KEY": "very-secret-" * 6, "ALLOWED_HOSTS": "x",
        "METRICS_TOKEN": "metrics-secret-1",
        "DATABASE_URL": "postgresql://user:hunter2@localhost/name",
    }  # fmt: skip

    result = start(command, **variables)

    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert {"events.recorded", "from elsewhere", "failed"} <= {line["event"] for line in lines}
    assert "ZeroDivisionError" in next(line for line in lines if line["event"] == "failed")["exception"]
    assert all({"level", "logger", "timestamp"} <= line.keys() for line in lines)
    for secret in ("very-secret", "metrics-secret-1", "hunter2"):
        assert secret not in result.stderr


def test_production_log__request_for_another_host__is_one_warning_that_names_the_setting(
    client: Client, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    settings.ALLOWED_HOSTS = ["bandit.example.com"]
    logging.config.dictConfig(logging_config("WARNING", json=True))
    try:
        client.get("/dashboard/", headers={"Host": "elsewhere.example.com"})
    finally:
        logging.config.dictConfig(settings.LOGGING)

    (line,) = map(json.loads, capfd.readouterr().err.splitlines())
    assert (line["level"], line["logger"]) == ("warning", "django.security.DisallowedHost")
    assert "You may need to add 'elsewhere.example.com' to ALLOWED_HOSTS." in line["event"]
    assert "exception" not in line


def test_log_at_debug__requests_with_credentials__never_hold_them(
    client: Client, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    settings.API_KEY_REQUIRED, settings.DEBUG, settings.METRICS_TOKEN = True, True, "metrics-secret-1"
    config = logging_config("DEBUG", json=True)
    logging.config.dictConfig(config)
    try:
        _, key = ApiKey.objects.create_key(name="warehouse", scope="write")
        for credential in (f"Api-Key {key}", "Api-Key wrong.secret-guess", "Bearer metrics-secret-1"):
            for path in ("/experiments", "/metrics", "/api/v1/experiments/?token=query-secret"):
                client.get(path, headers={"Authorization": credential})
        client.post("/accounts/login/", {"username": "u", "password": "password-guess"})
        client.get("/accounts/reset/MQ/link-secret/")
        client.get("/dashboard/shared/report-secret/")
    finally:
        logging.config.dictConfig(settings.LOGGING)
    written = capfd.readouterr().err

    assert '"request":"GET /experiments"' in written
    guesses = ("secret-guess", "password-guess")
    for secret in (key, *guesses, "metrics-secret-1", "query-secret", "link-secret", "report-secret"):
        assert secret not in written
