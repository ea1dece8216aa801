"""The classic calls about experiments, and what all classic calls share."""

import json
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from experiments.models import Experiment
from tests.experiments.api.classic_answers import DAY, problem_of, refused_fields
from tests.factory import counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


@pytest.mark.parametrize("slash", ["", "/"])
def test_post_experiments__name_and_description__answers_the_active_experiment(
    api: APIClient, slash: str
) -> None:
    response = api.post(f"/experiments{slash}", {"name": "Button", "description": "Green?"})

    assert response.status_code == 200
    body = response.json()
    assert body == {
        "id": Experiment.objects.get().pk,
        "name": "Button",
        "description": "Green?",
        "status": "active",
        "created_at": "2025-09-01T12:00:00+00:00",
        "metrics": [],
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": 5}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"name": "x", "owner": "me"}, "owner"),
        ({"name": "x", "description": "y" * 5001}, "description"),
        ([], ""),
    ],
)
def test_post_experiments__bad_body__names_the_field(api: APIClient, body: Any, field: str) -> None:
    response = api.generic("POST", "/experiments", json.dumps(body), content_type="application/json")

    assert refused_fields(response) == [field]
    assert not Experiment.objects.exists()


@pytest.mark.parametrize("slash", ["", "/"])
def test_get_experiments__with_data__is_a_plain_list_with_daily_rows(api: APIClient, slash: str) -> None:
    experiment = make_experiment("Button")
    record(experiment, counts("control", 1000, 50, 5), counts("b", 0, 0))

    body = api.get(f"/experiments{slash}").json()

    assert [entry["id"] for entry in body] == [experiment.pk]
    assert body[0]["metrics"] == [
        {
            "date": DAY,
            "variant_name": "control",
            "impressions": 1000,
            "clicks": 50,
            "conversions": 5,
            "ctr": 0.05,
        },
        {"date": DAY, "variant_name": "b", "impressions": 0, "clicks": 0, "conversions": 0, "ctr": 0.0},
    ]


def test_get_experiments__limit_and_offset__cut_a_page(api: APIClient) -> None:
    made = [make_experiment(f"E{n}").pk for n in range(4)]

    body = api.get("/experiments", {"limit": 2, "offset": 1}).json()

    assert [entry["id"] for entry in body] == made[::-1][1:3]


def test_get_experiments__fifty_with_data__three_queries_and_then_one(
    api: APIClient, django_assert_num_queries: Any
) -> None:
    for n in range(50):
        make_running(f"E{n}")

    with django_assert_num_queries(3):
        first = api.get("/experiments").json()
    with django_assert_num_queries(1):
        assert api.get("/experiments").json() == first
    assert len(first) == 50


def test_get_experiments__new_day_or_new_name__is_seen_at_once(api: APIClient) -> None:
    experiment = make_running()
    api.get("/experiments")
    record(experiment, counts("c", 7, 1))
    assert api.get("/experiments").json()[0]["metrics"][-1]["variant_name"] == "c"

    variant = experiment.variants.get(name="c")
    api.patch(f"/api/v1/experiments/{experiment.key}/variants/{variant.pk}/", {"name": "d"})

    assert api.get("/experiments").json()[0]["metrics"][-1]["variant_name"] == "d"


@pytest.mark.parametrize("query", [{"limit": "x"}, {"limit": 0}, {"limit": 1001}, {"offset": -1}])
def test_get_experiments__bad_page__names_the_field(api: APIClient, query: dict[str, Any]) -> None:
    assert refused_fields(api.get("/experiments", query)) == list(query)


@pytest.mark.parametrize("slash", ["", "/"])
def test_get_experiment__by_id_and_by_key__is_the_same(api: APIClient, slash: str) -> None:
    experiment = make_running("Button")

    by_id = api.get(f"/experiments/{experiment.pk}{slash}").json()

    assert by_id == api.get(f"/experiments/{experiment.key}{slash}").json()
    assert len(by_id["metrics"]) == 2


@pytest.mark.parametrize("reference", ["999", "no-such", "9" * 30, "%00", "%F0%9F%92%A9", "-1", "1.5"])
def test_get_experiment__unknown__is_404(api: APIClient, reference: str) -> None:
    assert problem_of(api.get(f"/experiments/{reference}"), 404)["code"] == "experiment_not_found"


@pytest.mark.parametrize("path", ["/events", "/reset_data", "/upload-data"])
def test_classic_api__get_of_a_write__is_405_with_allow(api: APIClient, path: str) -> None:
    response = api.get(path)

    assert set(response["Allow"].split(", ")) == {"POST", "OPTIONS"}
    problem_of(response, 405)


@pytest.mark.parametrize("slash", ["", "/"])
def test_reset_data__allowed__deletes_everything(api: APIClient, settings: Settings, slash: str) -> None:
    settings.ALLOW_RESET = True
    make_running()

    response = api.post(f"/reset_data{slash}")

    assert response.status_code == 200
    assert "message" in response.json()
    assert not Experiment.objects.exists()


def test_reset_data__not_allowed__is_403_and_keeps_everything(api: APIClient, settings: Settings) -> None:
    settings.ALLOW_RESET = False
    make_running()

    assert "ALLOW_RESET" in problem_of(api.post("/reset_data"), 403)["detail"]
    assert Experiment.objects.exists()


@pytest.mark.parametrize("path", ["/events", "/experiments", "/api/v1/events/", "/api/v1/experiments/"])
def test_writes__half_a_surrogate_pair_as_a_field__is_refused_and_escaped(api: APIClient, path: str) -> None:
    response = api.generic("POST", path, '{"\\ud800": 1}', content_type="application/json")

    assert "\\ud800" in refused_fields(response)


@pytest.mark.parametrize("length", ["²", "-5", "ten", "99999999999999999999"])
def test_content_length__malformed__is_no_server_error(api: APIClient, length: str) -> None:
    response = api.generic("POST", "/events", "{}", content_type="application/json", CONTENT_LENGTH=length)

    assert 400 <= response.status_code < 500


def test_unknown_path__post__is_404_as_json(api: APIClient) -> None:
    assert problem_of(APIClient(enforce_csrf_checks=True).post("/event", {}), 404)["code"] == "not_found"


def test_list_experiments__more_rows_than_are_listed_at_once__is_refused_but_for_smaller_pages(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand experiments may have millions of rows together: one call would take a worker's memory."""
    monkeypatch.setattr("experiments.api.classic.views.MOST_LISTED_ROWS", 3)
    for name in ("One", "Two"):
        make_running(name)

    assert refused_fields(api.get("/experiments")) == ["limit"]
    for offset in ("0", "1"):
        assert api.get("/experiments", {"limit": "1", "offset": offset}).status_code == 200
    # what the cache holds by now counts, too
    assert refused_fields(api.get("/experiments")) == ["limit"]


def test_list_experiments__cached_ones_that_have_changed__are_counted_once(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page just below the limit is not refused because the cache has what its experiments were before."""
    running = [make_running(name) for name in ("One", "Two")]
    monkeypatch.setattr("experiments.api.classic.views.MOST_LISTED_ROWS", 4)
    assert api.get("/experiments").status_code == 200

    for experiment in running:
        record(experiment, counts("control", 6000, 500))

    assert api.get("/experiments").status_code == 200


def test_list_experiments__long_names__is_no_longer_page_once_it_is_cached(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.api.classic.views.MOST_LISTED_ROWS", 8)
    names = [letter * 100 for letter in "abcd"]
    for name in ("One", "Two"):
        record(make_experiment(name), *(counts(variant, 10, 1) for variant in names))
    assert api.get("/experiments").status_code == 200

    assert api.get("/experiments", {"limit": "2"}).status_code == 200
