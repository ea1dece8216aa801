"""Hot calls answer as the views of REST framework do, and leave to them all that is unusual."""

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from bandit_project.api.hot import HOT
from bandit_project.models import ApiKey
from experiments.audit.intake import Intake
from experiments.models import DailyMetric, Experiment
from tests.factory import TODAY, allocate, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "keys_required")]

DAY = {
    "date": str(TODAY),
    "variants": [
        {"variant_name": "control", "impressions": 20, "clicks": 3},
        {"variant_name": "new", "impressions": 9, "clicks": 1},
    ],
}
ROW = {"date": str(TODAY), "variant_name": "control", "impressions": 20, "clicks": 3}
# Every renderer's answer suits it, and the lane does not know it.
UNUSUAL = {"Accept": "application/json; q=0.5"}
ANSWERED_ANEW = ("X-Request-ID", "Allow")


@pytest.fixture
def keys_required(settings: Settings) -> None:
    settings.API_KEY_REQUIRED = True


@pytest.fixture
def client_with(api: APIClient) -> Callable[[str], APIClient]:
    def make(scope: str) -> APIClient:
        client = APIClient()
        client.credentials(HTTP_X_API_KEY=ApiKey.objects.create_key(name=scope, scope=scope)[1])
        return client

    return make


@pytest.fixture
def ran_hot(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the hot calls that were answered, in order."""
    ran: list[str] = []
    for name, hot in HOT.items():

        def answer(request: Any, _hot: Any = hot, _name: str = name, **named: Any) -> HttpResponse | None:
            response: HttpResponse | None = _hot.answer(request, **named)
            if response is not None:
                ran.append(_name)
            return response

        monkeypatch.setitem(HOT, name, hot._replace(answer=answer))
    return ran


def _calls(e: int) -> dict[str, tuple[str, Any]]:
    return {
        "classic-allocation": (f"/allocation?experiment_id={e}", None),
        "classic-allocation-slash": (f"/allocation/?experiment_id={e}", None),
        "classic-history": (f"/experiments/{e}/history", None),
        "classic-history-slash": (f"/experiments/{e}/history/", None),
        "classic-experiments": ("/experiments", None),
        "classic-experiments-slash": ("/experiments/", None),
        "classic-events": ("/events", {"experiment_id": e, **DAY}),
        "classic-events-slash": ("/events/", {"experiment_id": e, **ROW}),
        "v1:allocation": (f"/api/v1/experiments/{e}/allocation/", None),
        "v1:assignment": (f"/api/v1/experiments/{e}/assignment/?unit=visitor", None),
        "v1:assignments": (f"/api/v1/experiments/{e}/assignments/", {"units": ["visitor", "another"]}),
        "v1:events": ("/api/v1/events/", {"rows": [{"experiment_id": e, **ROW}]}),
    }


def _ask(client: APIClient, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
    if body is None:
        return client.get(path, headers=headers or {})
    return client.post(path, body, headers=headers or {})


def _seen(response: Any) -> tuple[int, bytes, dict[str, str]]:
    headers = {name: value for name, value in response.headers.items() if name not in ANSWERED_ANEW}
    if "Expires" in headers:
        headers["Expires"] = "now"  # another second may begin between two answers
    return response.status_code, response.content, headers


@pytest.mark.parametrize("name", HOT)
def test_hot_call__usual__is_answered_as_the_view_does(
    client_with: Callable[[str], APIClient], ran_hot: list[str], name: str
) -> None:
    experiment, client = make_running(), client_with("write")
    allocate(experiment)
    path, body = _calls(experiment.pk)[name]
    if body:
        _ask(client, path, body, UNUSUAL)  # a new variant is named once

    by_view, hot = _ask(client, path, body, UNUSUAL), _ask(client, path, body)

    assert ran_hot == [name]
    assert by_view.status_code == 200
    assert _seen(hot) == _seen(by_view)
    assert set(hot["Allow"].split(", ")) == set(by_view["Allow"].split(", "))


@pytest.mark.parametrize("name", HOT)
@pytest.mark.parametrize(
    "broken", ["no such experiment", "scope", "parameter", "body", "method", "throttle", "key"]
)
def test_hot_call__unusual__is_left_to_the_view(
    client_with: Callable[[str], APIClient], ran_hot: list[str], settings: Settings, name: str, broken: str
) -> None:
    experiment = make_running()
    allocate(experiment)
    scope = "serve" if broken == "scope" else "write"
    client = client_with(scope)
    path, body = _calls(experiment.pk if broken != "no such experiment" else 999)[name]
    if "experiments" in name and broken == "no such experiment":
        pytest.skip("names none")
    if broken == "parameter":
        path += ("&" if "?" in path else "?") + "unknown=1"
        if body:
            pytest.skip("a write's parameters are not read")
    if broken == "body":
        if body is None:
            pytest.skip("a read has none")
        body = {**body, "unknown": 1}
    if broken == "throttle":
        settings.THROTTLE_RATES = {"read": "1000/min", "write": "1000/min"}
    if broken == "key":
        client.credentials(HTTP_X_API_KEY="wrong.key")
    if broken == "method":
        response: Any = client.delete(path)
    else:
        response = _ask(client, path, body)

    assert ran_hot == []
    expected = {
        "no such experiment": (404, 422),
        "scope": (403,),
        "body": (422,),
        "key": (401,),
        "method": (405,),
    }
    assert response.status_code in expected.get(broken, (200, 422))


def test_hot_events__recorded__name_the_key_in_the_days_line(
    client_with: Callable[[str], APIClient], ran_hot: list[str]
) -> None:
    experiment = make_running()

    client_with("write").post("/events", {"experiment_id": experiment.pk, **DAY})

    assert ran_hot == ["classic-events"]
    assert Intake.objects.get(source="api", actor__startswith="API key").row_count == 2


def test_hot_rows__with_an_idempotency_key__are_recorded_once_by_the_view(
    client_with: Callable[[str], APIClient], ran_hot: list[str]
) -> None:
    experiment, client = make_running(), client_with("write")
    body = {"mode": "add", "rows": [{"experiment_id": experiment.pk, **ROW}]}

    answers = [client.post("/api/v1/events/", body, headers={"Idempotency-Key": "one"}) for _ in range(2)]

    assert (ran_hot, [answer.status_code for answer in answers]) == ([], [200, 200])
    assert DailyMetric.objects.get(variant__name="control").impressions == 10_020


def test_hot_reads__nothing_has_changed__cost_one_query(
    client_with: Callable[[str], APIClient],
    settings: Settings,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    settings.API_KEY_REMEMBER_SECONDS = 60
    experiment, client = make_running(), client_with("read")
    allocate(experiment)
    reads = [path for path, body in _calls(experiment.pk).values() if body is None]
    for path in reads:
        client.get(path)

    for path in reads:
        with django_assert_num_queries(1):
            assert client.get(path).status_code == 200


def test_list__not_changed__is_304_until_it_has_changed(client_with: Callable[[str], APIClient]) -> None:
    experiment, client = make_running(), client_with("read")
    first = client.get("/experiments/")

    assert client.get("/experiments/", headers={"If-None-Match": first["ETag"]}).status_code == 304
    assert client.get("/experiments/", headers={"If-Match": '"other"'}).content == first.content
    Experiment.objects.filter(pk=experiment.pk).update(data_version=99)
    again = client.get("/experiments/", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content, again["ETag"] == first["ETag"]) == (200, first.content, False)


@pytest.mark.parametrize("name", HOT)
def test_hot_call__with_an_origin__is_answered_with_the_same_headers(
    client_with: Callable[[str], APIClient], ran_hot: list[str], name: str
) -> None:
    experiment, client = make_running(), client_with("write")
    allocate(experiment)
    path, body = _calls(experiment.pk)[name]
    if body:
        _ask(client, path, body)

    first, behind_cors = (
        _ask(client, path, body),
        _ask(client, path, body, {"Origin": "https://other.example"}),
    )

    assert ran_hot[-2:] == [name, name]
    assert _seen(first) == _seen(behind_cors)
    assert first["X-Content-Type-Options"] == "nosniff"


def test_hot_call__over_http_where_https_is_required__is_redirected(
    client_with: Callable[[str], APIClient], ran_hot: list[str], settings: Settings
) -> None:
    experiment, client = make_running(), client_with("write")
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS = True, 60
    path = f"/experiments/{experiment.pk}/history"

    plain, secure = client.get(path), client.get(path, secure=True)

    assert (plain.status_code, plain["Location"]) == (301, f"https://testserver{path}")
    assert (secure.status_code, secure["Strict-Transport-Security"]) == (200, "max-age=60")
    assert ran_hot == ["classic-history"]


def test_hot_call__for_another_host__is_refused(
    client_with: Callable[[str], APIClient], ran_hot: list[str], settings: Settings
) -> None:
    experiment, client = make_running(), client_with("read")
    settings.ALLOWED_HOSTS = ["bandit.example"]
    path = f"/experiments/{experiment.pk}/history"

    answers = [client.get(path, headers={"Host": host}) for host in ("bandit.example", "evil.example") * 2]

    assert [answer.status_code for answer in answers] == [200, 400] * 2
    assert len(ran_hot) == 2


def test_hot_call__body_beyond_the_limit__is_refused_unread(
    client_with: Callable[[str], APIClient], ran_hot: list[str], settings: Settings
) -> None:
    experiment = make_running()
    settings.MAX_BODY_BYTES = 20

    response = client_with("write").post("/events", {"experiment_id": experiment.pk, **DAY})

    assert (response.status_code, ran_hot) == (413, [])


def test_path__of_no_view__is_404_with_the_headers_of_all(client_with: Callable[[str], APIClient]) -> None:
    response = client_with("read").get("/events/of/nothing")

    assert (response.status_code, response["X-Content-Type-Options"]) == (404, "nosniff")


@pytest.mark.parametrize("path", ["/health", "/health/live"])
def test_probe__by_the_short_way__is_answered_as_by_the_usual_one(api: APIClient, path: str) -> None:
    short, usual = api.get(path), api.get(path, headers={"Origin": "https://other.example"})

    assert _seen(short) == _seen(usual)
