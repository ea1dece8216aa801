"""/metrics: who may read it, what it counts, and that every worker says the same."""

import json
import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from django.test import Client
from prometheus_client import REGISTRY
from pytest_django import Settings

from bandit_project.models import ApiKey
from bandit_project.ops.metrics.gauges import DatabaseCollector
from bandit_project.ops.metrics.requests import UNCOUNTED
from experiments.models import Experiment, Status
from notifications.events import EventKind
from notifications.models import Alarm, Delivery, Endpoint
from notifications.outbox import queue_test
from tests.bandit_project.ops.database import database_url
from tests.bandit_project.starts import manage
from tests.conftest import ROOT
from tests.factory import NOW, allocate, counts, make_experiment, make_running, record
from tests.processes.forks import Process


def _value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def _gauge(client: Client, line: str) -> str:
    found = re.search(rf"^{re.escape(line)} (\S+)$", client.get("/metrics").content.decode(), re.M)
    return found[1] if found else "missing"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("token", "networks", "sent", "status"),
    [
        ("", [], None, 404),
        ("right", [], None, 401),
        ("right", [], "Bearer wrong", 401),
        ("right", [], "Api-Key right", 401),
        ("right", [], "Bearer right", 200),
        ("right", [], "bearer right", 200),
        ("", [], "Bearer ", 404),
        ("", ["127.0.0.0/8"], None, 200),
        ("", ["10.0.0.0/8"], None, 404),
        ("right", ["10.0.0.0/8"], None, 401),
        ("right", ["127.0.0.1"], None, 200),
    ],
)
def test_metrics__outside_debug__asks_for_the_token_or_the_address(
    client: Client, settings: Settings, token: str, networks: list[str], sent: str | None, status: int
) -> None:
    settings.METRICS_TOKEN, settings.METRICS_ALLOWED_ADDRESSES = token, [ip_network(n) for n in networks]

    response = client.get("/metrics", headers={"Authorization": sent} if sent else {})

    assert response.status_code == status
    assert (b"bandit_database_up 1.0" in response.content) is (status == 200)


@pytest.mark.django_db
def test_metrics__forwarded_address__is_not_believed(client: Client, settings: Settings) -> None:
    settings.METRICS_ALLOWED_ADDRESSES = [ip_network("10.0.0.0/8")]

    assert client.get("/metrics", headers={"X-Forwarded-For": "10.0.0.1"}).status_code == 404


@pytest.mark.django_db
def test_counters__decision_and_ingestion__count_once_committed(
    django_capture_on_commit_callbacks: Any,
) -> None:
    names = [
        ("bandit_allocations_computed_total", {"kind": "optimized"}),
        ("bandit_limits_bound_total", {"limit": "cap_up"}),
        ("bandit_limits_bound_total", {"limit": "cap_down"}),
        ("bandit_ingested_rows_total", {"source": "api"}),
    ]
    before = [_value(name, **labels) for name, labels in names]

    with django_capture_on_commit_callbacks(execute=True):
        allocate(make_running())

    after = [_value(name, **labels) for name, labels in names]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1, 2]
    assert _value("bandit_limits_bound_total", limit="none") == 0


@pytest.mark.django_db
@pytest.mark.usefixtures("today")
def test_gauges__read_from_the_database__say_what_is_there(client: Client, settings: Settings) -> None:
    settings.DEBUG = True
    decided, waiting = make_running(), make_running("Waiting")
    old = make_experiment("Old")
    before = Experiment.objects.filter(pk__in=[old.pk, waiting.pk])
    before.update(created_at="2025-08-01T00:00:00Z")
    make_running("Made after the daily run")
    make_experiment("Draft", status=Status.DRAFT)
    allocate(decided)
    Alarm.objects.create(experiment=waiting, kind=EventKind.SAMPLE_RATIO_MISMATCH, raised_at=NOW)
    queue_test(Endpoint.objects.create(name="x", address="https://example.com"), NOW)

    assert _gauge(client, 'bandit_experiments{status="active"}') == "4.0"
    assert _gauge(client, 'bandit_experiments{status="paused"}') == "0.0"
    assert _gauge(client, 'bandit_decisions_today{kind="optimized"}') == "1.0"
    assert _gauge(client, 'bandit_limits_bound_today{limit="cap_up"}') == "1.0"
    assert _gauge(client, 'bandit_limits_bound_today{limit="control_floor"}') == "0.0"
    assert _gauge(client, "bandit_experiments_without_decision") == "1.0"
    assert _gauge(client, "bandit_stale_experiments") == "1.0"
    assert _gauge(client, 'bandit_alarms_open{kind="sample_ratio.mismatch"}') == "1.0"
    assert _gauge(client, 'bandit_deliveries{state="waiting"}') == "1.0"
    Delivery.objects.update(state=Delivery.State.DELIVERED)
    assert _gauge(client, "bandit_delivery_backlog_seconds") == "0.0"


@pytest.mark.django_db
def test_requests__of_machines__are_not_counted(client: Client) -> None:
    name = "django_http_requests_before_middlewares_total"
    before = _value(name)

    for path in UNCOUNTED:
        client.get(path)

    assert {"/health", "/health/live", "/metrics"} < UNCOUNTED
    assert _value(name) == before
    client.get("/experiments")
    assert _value(name) == before + 1


@pytest.mark.django_db
def test_requests__view_that_fails__counts_by_view_status_and_type(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("experiments.api.classic.views.create_experiment", fail)
    client.raise_request_exception = False
    labels = {"view": "classic-experiments", "method": "POST"}
    names: list[tuple[str, dict[str, str]]] = [
        ("django_http_responses_total_by_status_total", {"status": "500"}),
        ("django_http_responses_total_by_status_view_method_total", {"status": "500", **labels}),
        ("django_http_requests_latency_seconds_by_view_method_count", labels),
        ("django_http_requests_latency_including_middlewares_seconds_count", {}),
        ("django_http_exceptions_total_by_type_total", {"type": "ZeroDivisionError"}),
    ]
    before = [_value(name, **labels) for name, labels in names]

    client.post("/experiments", {"name": "x", "description": ""}, content_type="application/json")

    assert [_value(name, **labels) - b for (name, labels), b in zip(names, before, strict=True)] == [1] * 5


def _sample_names() -> set[str]:
    """Every name that a scrape can hold, also of what has not happened yet."""
    suffixes = {
        "counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""], "info": ["_info"],
    }  # fmt: skip
    families = [*REGISTRY.collect(), *DatabaseCollector().collect()]
    return {family.name + suffix for family in families for suffix in suffixes.get(family.type, [])}


def _named(expressions: list[str]) -> set[str]:
    return {name for text in expressions for name in re.findall(r"\b(?:bandit|django)_\w+", text)}


@pytest.mark.django_db
def test_dashboard_and_alerts__every_metric__exists() -> None:
    dashboard = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]

    for expressions in (panels, [rule["expr"] for rule in alerts]):
        assert _named(expressions)
        assert _named(expressions) - _sample_names() == set()


@pytest.mark.django_db
def test_metrics__every_one_of_ours__is_on_the_dashboard() -> None:
    dashboard = (ROOT / "deploy/grafana/dashboard.json").read_text()

    ours = {name for name in _sample_names() if name.startswith("bandit_")}
    ours = {name for name in ours if not name.endswith("_sum")}
    assert ours - _named([dashboard]) == set()


@pytest.mark.database_free
def test_alerts__each__has_a_section_in_the_handbook() -> None:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    headings = re.findall(r"^#+ (.*)$", (ROOT / "docs/operations.md").read_text(), re.M)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    for rule in rules["groups"][0]["rules"]:
        file, anchor = rule["annotations"]["runbook"].split("#")
        assert file == "docs/operations.md"
        assert anchor in anchors


@pytest.mark.database_free
def test_command__folder_of_the_counters_missing__makes_it(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"

    manage("check", DEBUG="true", PROMETHEUS_MULTIPROC_DIR=str(folder))

    assert folder.is_dir()


@contextmanager
def _two_workers(folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "DEBUG": "false",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "SECURE_SSL_REDIRECT": "false",
        "ALLOWED_HOSTS": "127.0.0.1",
        "METRICS_TOKEN": "scrape",
        "LOG_LEVEL": "ERROR",
        "PROMETHEUS_MULTIPROC_DIR": str(folder),
    }
    command = ["-m", "gunicorn", "bandit_project.wsgi", "--workers", "2", "--bind", address]
    with Process(command, env=environment) as server:
        try:
            _wait_for(f"http://{address}/health/live")
            yield f"http://{address}"
        finally:
            server.terminate()


def _wait_for(url: str) -> None:
    for _ in range(600):
        try:
            requests.get(url, timeout=60).raise_for_status()
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the server did not start")


def _scrape(url: str) -> set[str]:
    answer = requests.get(
        f"{url}/metrics", headers={"Authorization": "Bearer scrape", "Connection": "close"}, timeout=30
    )
    answer.raise_for_status()
    lines = {line for line in answer.text.splitlines() if line and not line.startswith("#")}
    return {line for line in lines if not line.startswith("bandit_delivery_backlog_seconds")}


def _post_until_both_counted(send: Callable[[int], object], folder: Path) -> int:
    """Posts ten at a time, until each of two workers has a file of counts; returns how many were posted.

    The kernel chooses which worker accepts a connection, and may choose the same one for long.
    """
    posted = 0
    with ThreadPoolExecutor(10) as clients:
        while len(_workers_that_counted(folder)) < 2 and posted < 1_000:
            posted += len(list(clients.map(send, range(posted, posted + 10))))
    return posted


def _workers_that_counted(folder: Path) -> set[str]:
    return {path.stem.rpartition("_")[2] for path in folder.glob("counter_*.db")}


@pytest.mark.django_db(transaction=True)
def test_metrics__two_workers_scraped_twenty_times__say_the_same(tmp_path: Path) -> None:
    _, key = ApiKey.objects.create_key(name="load", scope="write")
    experiment = make_experiment()
    record(experiment, counts("control", 10, 1))
    stale = tmp_path / "counter_1.db"
    stale.write_bytes(b"left by the last run")

    with _two_workers(tmp_path) as url:
        assert not stale.exists()

        def send(n: int) -> None:
            body = {
                "experiment_id": experiment.pk,
                "date": "2025-09-01",
                "variant_name": "b",
                "impressions": n,
                "clicks": 0,
            }
            headers = {"Authorization": f"Api-Key {key}", "Connection": "close"}
            requests.post(f"{url}/events", json=body, headers=headers, timeout=30).raise_for_status()

        posted = _post_until_both_counted(send, tmp_path)
        scrapes = [_scrape(url) for _ in range(20)]

    assert len(_workers_that_counted(tmp_path)) == 2
    assert all(scrape == scrapes[0] for scrape in scrapes)
    assert f'bandit_ingested_rows_total{{source="api"}} {posted}.0' in scrapes[0]
    assert f'django_http_responses_total_by_status_total{{status="200"}} {posted}.0' in scrapes[0]
