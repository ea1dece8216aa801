"""Each caller tries each path and method of the service, and may do exactly what the table says."""

from copy import deepcopy
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.http import HttpResponse
from django.test import Client

from experiments.models import Experiment
from tests.security.access_table import ACCESS, SERVED, Least, Row
from tests.security.callers import NAMES, Caller, caller, person
from tests.security.places import World, all_places

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


@pytest.fixture(autouse=True)
def as_in_production(settings: Any) -> None:
    settings.API_KEY_REQUIRED = settings.DASHBOARD_LOGIN_REQUIRED = settings.ALLOW_RESET = True
    settings.METRICS_TOKEN = "a token of its own"


@pytest.mark.database_free
def test_table__against_the_url_configuration__has_a_row_for_each_path_and_no_other() -> None:
    assert {row.place for row in ACCESS} == all_places()


@pytest.mark.database_free
def test_table__each_path_and_method__has_one_row() -> None:
    rows = [(row.place, row.method) for row in ACCESS]

    assert sorted(rows) == sorted(set(rows))


# The admin reaches every page, and does so on both databases. Who is let in does not depend on the database.
_CALLERS = [n if n == "admin" else pytest.param(n, marks=pytest.mark.database_free) for n in NAMES]


@pytest.mark.long
@pytest.mark.parametrize("name", _CALLERS)
def test_access__each_path_and_method__is_as_in_the_table(name: str) -> None:
    who, world = caller(name), World.make()

    wrong = [
        f"{row.method} {row.place}: {outcome}, not {expected}"
        for row in ACCESS
        if (outcome := _outcome(_call(who.client, row.method, world.path(row.place)), row))
        != (expected := _expected(row, who))
    ]

    assert wrong == []


@pytest.mark.database_free
def test_access__method_that_no_row_names__is_refused_even_to_an_admin() -> None:
    who, world = caller("admin"), World.make()
    places = {
        row.place for row in ACCESS if row.place.startswith(("api/", "dashboard/", "experiments", "ofrep/"))
    }
    named = {(row.place, row.method) for row in ACCESS}

    taken = [
        (method, place)
        for place in places
        for method in _METHODS
        if (place, method) not in named
        and _call(who.client, method, world.path(place)).status_code not in {403, 405}
    ]

    assert taken == []


@pytest.mark.database_free
def test_admin__each_role_without_staff_status__stays_outside() -> None:
    for group in ("viewer", "analyst", "admin"):
        response = person(group, is_staff=False).get("/admin/experiments/experiment/")
        assert response["Location"].startswith("/admin/login/"), group


@pytest.mark.database_free
def test_refused__each_write__changes_nothing() -> None:
    who, world = caller("viewer"), World.make()
    before = Experiment.history.count(), Experiment.objects.values().get()

    for row in ACCESS:
        if row.method != "GET" and row.least > Least.LOOK:
            who.client.generic(row.method, world.path(row.place), content_type="application/json")

    assert (Experiment.history.count(), Experiment.objects.values().get()) == before


def _call(client: Client, method: str, path: str) -> HttpResponse:
    """The answer to a call that is rolled back, so that every call finds the same world."""
    cookies = deepcopy(client.cookies)
    with transaction.atomic():
        body: dict[str, Any] = {} if method == "GET" else {"data": {}}
        if ("api/" in path or "ofrep/" in path) and method != "GET":
            body = {"data": "{}", "content_type": "application/json"}
        if path.startswith("/dashboard/backtest/") and method == "POST":
            body = {"data": _small_backtest()}
        answer: HttpResponse = getattr(client, method.lower())(path, **body)
        transaction.set_rollback(True)
    client.cookies = cookies
    return answer


def _small_backtest() -> dict[str, Any]:
    """A form with one past test. Without a file the page plays its sample, which takes seconds."""
    rows = b"experiment,variant,impressions,clicks\na,x,900,20\na,y,900,30\n"
    return {"file": SimpleUploadedFile("tests.csv", rows), "days": "14", "runs": "1", "seed": "1"}


def _outcome(response: HttpResponse, row: Row) -> str:
    if response.status_code in {401, 403}:
        return str(response.status_code)
    sent_to_log_in = row.sign_in and response.headers.get("Location", "").startswith(row.sign_in)
    return "log in" if sent_to_log_in else "let in"


def _expected(row: Row, who: Caller) -> str:
    if row.least is Least.ANYONE:
        return "let in"
    if row.sign_in and not who.is_person:
        return "log in"
    if row.place == "metrics":
        return "401"
    if who.is_serve_key:
        return "let in" if (row.method, row.place) in SERVED else "403"
    if who.held is Least.ANYONE:
        return "401"
    return "let in" if who.held >= row.least else "403"
