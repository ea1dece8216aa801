"""Lists of /api/v1/: their order, search and filters."""

from collections.abc import Sequence

import pytest
from rest_framework.test import APIClient

from experiments.models import Experiment, Status, Variant
from tests.factory import TODAY, make_experiment, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

V1 = "/api/v1"


def _refused(api: APIClient, path: str, **query: str) -> list[str]:
    response = api.get(f"{V1}/{path}", query)
    assert response.status_code == 422, response.content
    return [issue["field"] for issue in response.json()["errors"]]


def _make_many(number: int) -> None:
    Experiment.objects.bulk_create(
        Experiment(key=f"e{n}", name=f"E{n}", status=(Status.DRAFT, Status.PAUSED)[n % 2])
        for n in range(number)
    )


@pytest.mark.parametrize("ordering", ["status", "-status", "status,-name"])
def test_list__order_with_ties__every_row_stands_on_one_page(api: APIClient, ordering: str) -> None:
    _make_many(400)

    pages = [
        api.get(f"{V1}/experiments/", {"ordering": ordering, "page_size": "10", "page": str(page)}).json()
        for page in range(1, 41)
    ]

    assert len({entry["id"] for page in pages for entry in page["results"]}) == 400


@pytest.mark.parametrize(
    ("path", "ordering"),
    [
        ("experiments/", "nonsense"),
        ("experiments/", "name,nonsense"),
        ("experiments/", "--name"),
        ("experiments/", ""),
        ("experiments/", "name,,status"),
        ("experiments/", "name,status,name"),
        ("experiments/", "name,-name"),
        ("experiments/{key}/variants/", "status"),
        ("experiments/{key}/metrics/", "name"),
    ],
)
def test_list__order_by_what_it_has_not__is_refused_with_what_it_has(
    api: APIClient, path: str, ordering: str
) -> None:
    path = path.format(key=make_running().key)

    assert _refused(api, path, ordering=ordering) == ["ordering"]


@pytest.mark.parametrize("search", ["word " * 1900, "x" * 201, ",".join("abc" * 40)])
def test_list__long_search__is_refused(api: APIClient, search: str) -> None:
    assert _refused(api, "experiments/", search=search) == ["search"]


def test_list__search_of_several_words__wants_all_of_them(api: APIClient) -> None:
    make_experiment("Red button")
    make_experiment("Red link")

    assert api.get(f"{V1}/experiments/", {"search": "button red"}).json()["count"] == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("created_after", "0001-01-01T00:00:00+14:00"),
        ("created_before", "9999-12-31T23:59:59-14:00"),
        ("created_after", "yesterday"),
    ],
)
def test_list__moment_beyond_the_calendar__is_refused(api: APIClient, name: str, value: str) -> None:
    assert _refused(api, "experiments/", **{name: value}) == [name]


@pytest.mark.parametrize("value", ["10/25/2006", "2006-1-5", "Oct 25 2006", "2006-02-30", "20060105"])
def test_metrics__date_in_another_spelling__is_refused(api: APIClient, value: str) -> None:
    key = make_running().key

    assert _refused(api, f"experiments/{key}/metrics/", start_date=value) == ["start_date"]
    assert api.get(f"{V1}/experiments/{key}/metrics/", {"start_date": str(TODAY)}).json()["count"] == 2


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["control", "variant_b", "old"]),
        ({"is_active": "true"}, ["control", "variant_b"]),
        ({"is_active": "false"}, ["old"]),
        ({"is_control": "true"}, ["control"]),
    ],
)
def test_variants__filters__narrow_them(api: APIClient, query: dict[str, str], names: Sequence[str]) -> None:
    experiment = make_running()
    Variant.objects.create(experiment=experiment, key="old", name="old", is_active=False)

    answer = api.get(f"{V1}/experiments/{experiment.key}/variants/", query).json()

    assert [variant["name"] for variant in answer["results"]] == names


@pytest.mark.parametrize(
    "path", ["", "button-colour/variants/", "button-colour/metrics/", "button-colour/allocations/"]
)
def test_list__filter_it_does_not_know__is_refused_by_name(api: APIClient, path: str) -> None:
    make_running()

    assert _refused(api, f"experiments/{path}", statos="draft") == ["statos"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"statos": "draft"}, "unknown_parameter"),
        ({"owner": ""}, "blank"),
        ({"archived": "maybe"}, "invalid"),
        ({"status": "running"}, "invalid_choice"),
    ],
)
def test_list__filter_that_is_refused__has_a_code(api: APIClient, query: dict[str, str], code: str) -> None:
    [error] = api.get(f"{V1}/experiments/", query).json()["errors"]

    assert error["code"] == code
