"""/api/v1/ about allocations, the decision log and assignment."""

import datetime as dt
from typing import Any

import pytest
from rest_framework.test import APIClient

from allocation.engine.assignment import assign
from allocation.models import Allocation
from experiments.models import Experiment
from tests.factory import NOW, TODAY, allocate, counts, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

V1 = "/api/v1"


def test_get_allocation__none_yet__is_404_and_nothing_is_computed(api: APIClient) -> None:
    response = api.get(f"{V1}/experiments/{make_running().key}/allocation/")

    assert (response.status_code, response.json()["code"]) == (404, "no_allocation")
    assert not Allocation.objects.exists()


def test_post_allocation__first_and_again__is_201_with_location_and_then_200(api: APIClient) -> None:
    url = f"{V1}/experiments/{make_running().key}/allocation/"

    first, again = api.post(url), api.post(url)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    entry = api.get(first["Location"]).json()
    assert entry["inputs"]["counts"] == {
        "first_date": "2025-09-01",
        "days": [0],
        "impressions": [[10000], [10000]],
        "clicks": [[700], [950]],
        "conversions": [[0], [0]],
    }


def test_get_allocation__explains_each_share(api: APIClient) -> None:
    experiment = make_running()
    allocate(experiment)

    body = api.get(f"{V1}/experiments/{experiment.pk}/allocation/").json()

    assert (body["kind"], body["state"], body["target_date"]) == ("optimized", "leader", "2025-09-01")
    b = body["shares"][1]
    assert (b["variant_key"], b["share"], b["previous_share"], b["bound"]) == (
        "variant_b",
        0.7,
        0.5,
        "cap_up",
    )
    assert (b["trials"], b["successes"], b["posterior_alpha"]) == (10000, 950, pytest.approx(951))


def test_get_allocation__etag_sent_back__is_304_until_something_changes(api: APIClient) -> None:
    experiment = make_running()
    allocate(experiment)
    url = f"{V1}/experiments/{experiment.key}/allocation/"
    first = api.get(url)

    assert first["Cache-Control"] == "private, no-cache"
    assert "Last-Modified" in first
    same = {"If-None-Match": first["ETag"]}
    unchanged = api.get(url, headers=same)
    assert (unchanged.status_code, unchanged.content, unchanged["ETag"]) == (304, b"", first["ETag"])
    record(experiment, counts("control", 10000, 900))
    assert api.get(url, headers=same).status_code == 304
    allocate(experiment)
    assert api.get(url, headers=same).status_code == 200


def test_get_allocation__if_none_match__one_query(api: APIClient, django_assert_num_queries: Any) -> None:
    experiment = make_running()
    allocate(experiment)
    url = f"{V1}/experiments/{experiment.key}/allocation/"
    etag = api.get(url)["ETag"]

    with django_assert_num_queries(1):
        api.get(url, headers={"If-None-Match": etag})


@pytest.mark.parametrize("given", ["*", "W/{etag}", '"other", {etag}', '"other", W/{etag}'])
def test_get_allocation__if_none_match_in_any_spelling__is_304(api: APIClient, given: str) -> None:
    experiment = make_running()
    allocate(experiment)
    url = f"{V1}/experiments/{experiment.key}/allocation/"
    etag = api.get(url)["ETag"]

    response = api.get(url, headers={"If-None-Match": given.format(etag=etag)})

    assert (response.status_code, response["ETag"]) == (304, etag)
    assert response["Cache-Control"] == "private, no-cache"
    assert {"Authorization", "Cookie"} <= set(response["Vary"].split(", "))


def test_get_allocation__if_none_match_any__without_an_allocation_is_404(api: APIClient) -> None:
    url = f"{V1}/experiments/{make_running().key}/allocation/"

    assert api.get(url, headers={"If-None-Match": "*"}).status_code == 404


def test_get_allocation__if_modified_since__is_304_until_something_changes(api: APIClient) -> None:
    experiment = make_running()
    allocate(experiment)
    url = f"{V1}/experiments/{experiment.key}/allocation/"
    since = {"If-Modified-Since": api.get(url)["Last-Modified"]}

    assert since == {"If-Modified-Since": "Mon, 01 Sep 2025 12:00:00 GMT"}
    assert api.get(url, headers=since).status_code == 304
    Experiment.objects.update(updated_at=NOW + dt.timedelta(seconds=1))  # as a new name does
    assert api.get(url, headers=since).status_code == 200


def test_get_allocation__made_earlier_for_today__was_modified_when_the_day_began(api: APIClient) -> None:
    experiment = make_running()
    allocate(experiment)
    Experiment.objects.update(updated_at=NOW - dt.timedelta(days=9))
    Allocation.objects.update(created_at=NOW - dt.timedelta(days=2))

    answer = api.get(f"{V1}/experiments/{experiment.key}/allocation/")

    assert answer["Last-Modified"] == "Mon, 01 Sep 2025 00:00:00 GMT"


def test_get_allocation__if_match_of_another_state__is_412_as_a_problem(api: APIClient) -> None:
    experiment = make_running()
    allocate(experiment)

    response = api.get(f"{V1}/experiments/{experiment.key}/allocation/", headers={"If-Match": '"other"'})

    assert (response.status_code, response["Content-Type"]) == (412, "application/problem+json")
    assert response.json()["code"] == "precondition_failed"


def test_complete__retired_winner__is_422_and_names_the_fix(api: APIClient) -> None:
    url = f"{V1}/experiments/{make_running().key}"
    b = api.get(f"{url}/variants/").json()["results"][1]
    api.patch(f"{url}/variants/{b['id']}/", {"is_active": False})

    response = api.post(f"{url}/complete/", {"winner": "variant_b"})

    assert response.status_code == 422
    assert response.json()["errors"] == [
        {
            "field": "winner",
            "code": "retired",
            "message": "'variant_b' is inactive; reactivate it first, or name another variant",
        }
    ]
    assert api.get(f"{url}/").json()["status"] == "active"


def test_ledger__revisions__filter_to_the_latest(api: APIClient) -> None:
    experiment = make_running()
    allocate(experiment)
    record(experiment, counts("control", 10000, 990))
    allocate(experiment)
    allocate(experiment, TODAY + dt.timedelta(days=1))
    url = f"{V1}/experiments/{experiment.key}/allocations/"

    def revisions(**query: str) -> list[tuple[str, int]]:
        return [(a["target_date"], a["revision"]) for a in api.get(url, query).json()["results"]]

    assert revisions() == [("2025-09-02", 1), ("2025-09-01", 2), ("2025-09-01", 1)]
    assert revisions(latest="true", end_date="2025-09-01") == [("2025-09-01", 2)]


def test_ledger_entry__of_another_experiment__is_404(api: APIClient) -> None:
    other = allocate(make_running("Other"))

    response = api.get(f"{V1}/experiments/{make_running().key}/allocations/{other.pk}/")

    assert response.json()["code"] == "allocation_not_found"


def test_assignment__one_and_many__agree_with_the_engine(api: APIClient) -> None:
    experiment = make_running()
    allocate(experiment)
    url = f"{V1}/experiments/{experiment.key}"
    units = [f"visitor-{n}" for n in range(200)]

    many = api.post(f"{url}/assignments/", {"units": units}).json()["assignments"]
    one = api.get(f"{url}/assignment/", {"unit": units[0]}).json()

    expected = [assign(experiment.key, {"control": 0.3, "variant_b": 0.7}, unit) for unit in units]
    assert [a["variant_key"] for a in many] == expected
    assert one == many[0]
    assert 110 < expected.count("variant_b") < 170


def test_assignments__bad_units__are_named(api: APIClient) -> None:
    url = f"{V1}/experiments/{make_running().key}/assignments/"

    for body, field in (
        ({"units": []}, "units"),
        ({"units": [""]}, "units[0]"),
        ({"units": ["x"] * 1001}, "units"),
    ):
        assert [issue["field"] for issue in api.post(url, body).json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ordering", "reason"),
        ("ordering", "target_date,-target_date"),
        ("ordering", ""),
        ("search", "x" * 201),
        ("start_date", "2025-9-1"),
        ("end_date", "09/01/2025"),
        ("kind", "guessed"),
        ("latest", "yes"),
    ],
)
def test_ledger__what_it_has_not__is_refused_by_name(api: APIClient, name: str, value: str) -> None:
    response = api.get(f"{V1}/experiments/{make_running().key}/allocations/", {name: value})

    assert response.status_code == 422
    assert [issue["field"] for issue in response.json()["errors"]] == [name]


def test_ledger__order_with_ties__every_entry_stands_on_one_page(api: APIClient) -> None:
    experiment = make_running()
    for age in reversed(range(25)):
        allocate(experiment, TODAY - dt.timedelta(days=age))
    url = f"{V1}/experiments/{experiment.key}/allocations/"

    pages = [
        api.get(url, {"ordering": "-revision", "page_size": "5", "page": str(page)}).json()
        for page in range(1, 6)
    ]

    assert len({entry["id"] for page in pages for entry in page["results"]}) == 25
