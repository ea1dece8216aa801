"""The line of a request that an exception has ended: it says the status of the answer, as the metrics do."""

from typing import Any

import pytest
import structlog
from django.contrib.auth.models import User
from django.db import DataError, IntegrityError, OperationalError
from django.test import Client, override_settings
from prometheus_client import REGISTRY

from bandit_project.models import ApiKey
from tests.factory import make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today"), pytest.mark.xdist_group("metrics")]

_PAGE = "dashboard:integrate"


def _counted(view: str, status: int) -> float:
    """Give how many answers the metrics know of the view with the status."""
    name = "django_http_responses_total_by_status_view_method_total"
    found = (
        sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == name and (sample.labels["view"], sample.labels["status"]) == (view, str(status))
    )
    return sum(found)


def _lines(logs: list[Any]) -> list[tuple[Any, ...]]:
    """Give what the lines of requests say: the event, its level, the status, and if they have a traceback."""
    return [
        (line["event"], line["log_level"], line["code"], bool(line.get("exc_info")))
        for line in logs
        if str(line["event"]).startswith("request_")
    ]


def _breaking(monkeypatch: pytest.MonkeyPatch, where: str, error: Exception) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(where, broken)


@pytest.fixture
def someone() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("ann"))
    return client


@override_settings(DEBUG=False)
@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (DataError("out of range"), 400, ("request_finished", "info", 400, False)),
        (IntegrityError("FOREIGN KEY constraint failed"), 409, ("request_finished", "info", 409, False)),
        (OperationalError("away"), 503, ("request_failed", "error", 503, True)),
        (ZeroDivisionError(), 500, ("request_failed", "error", 500, True)),
    ],
    ids=["odd value", "reference gone", "no database", "fault"],
)
def test_request_log__exception_of_a_page__says_the_status_of_the_answer_once(
    someone: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, line: tuple[Any, ...]
) -> None:
    experiment = make_running()
    _breaking(monkeypatch, "dashboard.experiment.integrate.page.last_calls", error)
    before = _counted(_PAGE, status)

    with structlog.testing.capture_logs() as logs:
        response = someone.get(f"/dashboard/experiments/{experiment.pk}/integrate/")

    assert response.status_code == status
    assert _lines(logs) == [line]
    assert _counted(_PAGE, status) - before == 1


@override_settings(DEBUG=False)
@pytest.mark.parametrize(
    ("broken", "path", "view"),
    [
        ("serving.api.visits.evaluate_flags", "/ofrep/v1/evaluate/flags", "ofrep-flags"),
        (
            "allocation.api.classic.views.state_with_newest",
            "/allocation?experiment_id=1",
            "classic-allocation",
        ),
    ],
)
def test_request_log__fault_on_the_short_way__is_counted_as_it_is_logged(
    monkeypatch: pytest.MonkeyPatch, broken: str, path: str, view: str
) -> None:
    _, key = ApiKey.objects.create_key(name="shop", scope="write")
    client = Client(raise_request_exception=False, headers={"X-API-Key": key})
    make_running()
    _breaking(monkeypatch, broken, ZeroDivisionError())
    before = _counted(view, 500)

    with structlog.testing.capture_logs() as logs:
        if path.startswith("/ofrep"):
            response = client.post(path, {"context": {"targetingKey": "u"}}, content_type="application/json")
        else:
            response = client.get(path)

    assert response.status_code == 500
    assert _lines(logs) == [("request_failed", "error", 500, True)]
    assert _counted(view, 500) - before == 1


@override_settings(DEBUG=False)
def test_request_log__error_page_that_fails_itself__is_logged_with_its_cause(
    someone: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = make_running()
    _breaking(monkeypatch, "dashboard.experiment.integrate.page.last_calls", ZeroDivisionError())
    _breaking(monkeypatch, "bandit_project.api.errors.page_or_problem", KeyError("no template"))

    with structlog.testing.capture_logs() as logs, pytest.raises(KeyError):
        someone.get(f"/dashboard/experiments/{experiment.pk}/integrate/")

    assert _lines(logs) == [("request_failed", "error", 500, True)]
