"""Parameters of the query that a call does not know."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from experiments.models import DailyMetric
from tests.factory import make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today"), pytest.mark.database_free]

V1 = "/api/v1"


def test_query__misspelt_choice_of_an_upload__is_refused_with_those_there_are(api: APIClient) -> None:
    file = SimpleUploadedFile("day.csv", b"date,variant_name,impressions,clicks\n")

    response = api.post(f"{V1}/events/csv/?on_eror=skip", {"file": file}, format="multipart")

    assert response.status_code == 422
    issue = response.json()["errors"][0]
    assert (issue["field"], issue["code"]) == ("on_eror", "unknown_parameter")
    assert "this call takes on_error" in issue["message"]
    assert not DailyMetric.objects.exists()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "allocation/?date=2025-08-31"),
        ("post", "allocation/?date=2025-08-31"),
        ("get", "statistics/?window_days=7"),
        ("get", "?expand=variants"),
        ("patch", "?dry_run=true"),
        ("delete", "?dry_run=true"),
        ("post", "pause/?until=tomorrow"),
        ("get", "assignment/?unit=a&units=b"),
        ("post", "assignments/?unit=a"),
        ("post", "notes/?dry_run=true"),
    ],
)
def test_query__parameter_that_the_call_does_not_know__is_refused_and_nothing_done(
    api: APIClient, method: str, path: str
) -> None:
    experiment = make_running()

    response = getattr(api, method)(f"{V1}/experiments/{experiment.key}/{path}", {"units": ["a"]})

    assert response.status_code == 422, response.content
    assert response.json()["errors"][0]["code"] == "unknown_parameter"
    experiment.refresh_from_db()
    assert experiment.status == "active"


@pytest.mark.parametrize(
    ("method", "path", "names"),
    [
        ("get", "?page_size=1&page_size=2", ["page_size"]),
        ("get", "?status=draft&status=active", ["status"]),
        ("get", "?search=a&search=b&page=1&page=2", ["page", "search"]),
        ("get", "?format=json&format=json", ["format"]),
        ("get", "{key}/assignment/?unit=a&unit=b", ["unit"]),
        ("get", "{key}/allocations/?latest=true&latest=false", ["latest"]),
        ("head", "{key}/metrics/?variant=a&variant=b", ["variant"]),
    ],
)
def test_query__parameter_given_twice__is_refused_by_name(
    api: APIClient, method: str, path: str, names: list[str]
) -> None:
    key = make_running().key
    api.post(f"{V1}/experiments/{key}/allocation/")

    response = getattr(api, method)(f"{V1}/experiments/{path.format(key=key)}")

    assert response.status_code == 422
    if method == "get":
        assert [(one["field"], one["code"]) for one in response.json()["errors"]] == [
            (name, "duplicate") for name in names
        ]
        assert response.json()["errors"][0]["message"] == "Given 2 times; give it once."


def test_query__choice_of_an_upload_given_twice__is_refused(api: APIClient) -> None:
    file = SimpleUploadedFile("day.csv", b"date,variant_name,impressions,clicks\n")
    path = f"{V1}/events/csv/?on_error=skip&on_error=reject"

    response = api.post(path, {"file": file}, format="multipart")

    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "on_error")


def test_query__classic_call_with_a_parameter_twice__answers_as_ever(api: APIClient) -> None:
    make_running()

    assert api.get("/experiments?limit=1&limit=2").status_code == 200


def test_query__events_with_a_parameter__are_refused(api: APIClient) -> None:
    response = api.post(f"{V1}/events/?mode=add", {"rows": []})

    assert response.json()["errors"][0]["message"] == "Unknown; this call takes no parameters."


@pytest.mark.parametrize("path", ["", "variants/", "allocation/", "assignment/?unit=a", "statistics/"])
def test_query__format_and_head__are_known_everywhere(api: APIClient, path: str) -> None:
    key = make_running().key
    api.post(f"{V1}/experiments/{key}/allocation/")
    sign = "&" if "?" in path else "?"

    for method in (api.get, api.head):
        assert method(f"{V1}/experiments/{key}/{path}{sign}format=json").status_code == 200


@pytest.mark.parametrize("path", ["experiments/?status=active", "experiments/{key}/assignment/?unit=a"])
def test_query__options__takes_what_the_calls_of_the_path_take(api: APIClient, path: str) -> None:
    assert api.options(f"{V1}/{path.format(key=make_running().key)}").status_code == 200


def test_query__stranger__learns_no_names() -> None:
    response = APIClient(headers={"X-API-Key": "wrong"}).post(f"{V1}/events/csv/?on_eror=skip")

    assert response.status_code == 401


def test_query__classic_call__takes_what_old_clients_send_along(api: APIClient) -> None:
    experiment = make_running()

    assert api.get(f"/allocation?experiment_id={experiment.pk}&_=1725184800").status_code == 200
    assert api.get(f"/experiments/{experiment.pk}/history?_=1725184800").status_code == 200


@pytest.mark.parametrize("part", ["metrics", "notes", "allocations"])
def test_query__span_that_ends_before_it_starts__is_refused_at_both_ends(api: APIClient, part: str) -> None:
    key = make_running().key

    response = api.get(
        f"{V1}/experiments/{key}/{part}/", {"start_date": "2025-08-02", "end_date": "2025-08-01"}
    )

    assert response.status_code == 422
    assert {issue["field"]: issue["message"] for issue in response.json()["errors"]} == {
        "start_date": "Must not be after end_date.",
        "end_date": "Must not be before start_date.",
    }


def test_query__created_before_the_moment_that_it_is_after__is_refused_at_both_ends(api: APIClient) -> None:
    span = {"created_after": "2025-08-02T00:00:00Z", "created_before": "2025-08-02T00:00:00+02:00"}

    response = api.get(f"{V1}/experiments/", span)

    assert response.status_code == 422
    assert {issue["field"] for issue in response.json()["errors"]} == set(span)


def test_query__classic_history_of_a_reversed_span__is_empty_as_its_clients_know_it(api: APIClient) -> None:
    pk = make_running().pk

    response = api.get(f"/experiments/{pk}/history?start_date=2025-08-02&end_date=2025-08-01")

    assert response.status_code == 200
    assert response.json()["history"] == []


@pytest.mark.parametrize("path", ["/api/v1/experiments/", "/api/v1/simulations/", "/experiments", "/events"])
def test_body__null__is_refused_with_the_fix(api: APIClient, path: str) -> None:
    response = api.post(path, "null", content_type="application/json")

    assert response.status_code == 422
    assert "No data provided" not in response.content.decode()
    assert "JSON object" in response.content.decode()


@pytest.mark.parametrize("unit", [" ", "\t", "\u3000"])
def test_unit__nothing_but_spaces__is_refused(api: APIClient, unit: str) -> None:
    key = make_running().key
    api.post(f"{V1}/experiments/{key}/allocation/")

    one = api.get(f"{V1}/experiments/{key}/assignment/", {"unit": unit})
    many = api.post(f"{V1}/experiments/{key}/assignments/", {"units": ["a", unit]})

    assert (one.status_code, many.status_code) == (422, 422)
    assert api.get(f"{V1}/experiments/{key}/assignment/", {"unit": " a "}).json()["unit"] == " a "
