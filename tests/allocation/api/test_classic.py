import datetime as dt
from typing import Any

import pytest
from django.core.cache import caches
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from allocation.api.classic.views import Moment, _computed_answer, allocation_json
from allocation.ledger.entries import Entry
from allocation.models import Allocation
from allocation.selectors import state_with_newest
from allocation.services import compute_allocation
from experiments.models import Status, Variant
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


@pytest.mark.parametrize("slash", ["", "/"])
def test_get_allocation__running__has_every_field_its_clients_know(api: APIClient, slash: str) -> None:
    experiment = make_running()

    body = api.get(f"/allocation{slash}", {"experiment_id": experiment.pk}).json()

    assert body["allocations"] == {"control": 0.3, "variant_b": 0.7}
    assert body["algorithm"] == "thompson_sampling"
    assert body["parameters"]["control_floor"] == 0.1
    assert body["parameters"]["min_explore_rate"] == 0.05
    assert body["parameters"]["max_daily_shift"] == 0.2
    assert (body["experiment_id"], body["window_days"]) == (experiment.pk, 365)
    assert dt.datetime.fromisoformat(body["timestamp"]) == NOW
    assert body["summary"] == {
        "total_impressions": 20000,
        "total_clicks": 1650,
        "variants": [
            {"name": "control", "impressions": 10000, "clicks": 700, "conversions": 0},
            {"name": "variant_b", "impressions": 10000, "clicks": 950, "conversions": 0},
        ],
    }
    assert body["history"] == [
        {
            "date": TODAY.isoformat(),
            "as_of": {"date": TODAY.isoformat(), "data_through": TODAY.isoformat()},
            "algorithm": "thompson_sampling",
            "allocations": {"control": 0.3, "variant_b": 0.7},
            "total_impressions": 20000,
            "total_clicks": 1650,
        }
    ]
    assert body["as_of"] == body["history"][0]["as_of"]
    assert body["limits"] == {"control": "cap_down", "variant_b": "cap_up"}
    assert "daily cap" in body["reason"]


def test_get_allocation__by_key__is_the_same(api: APIClient) -> None:
    experiment = make_running()

    by_id = api.get("/allocation", {"experiment_id": experiment.pk}).json()

    assert by_id == api.get("/allocation", {"experiment_id": experiment.key}).json()


def test_get_allocation__midnight_while_it_is_computed__is_decided_anew_for_the_next_day(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = make_running()
    clock = {"now": dt.datetime.combine(TODAY, dt.time(23, 59, 59), dt.UTC)}
    monkeypatch.setattr("django.utils.timezone.now", lambda: clock["now"])

    def computed(**inputs: Any) -> Entry:
        found = compute_allocation(**inputs)
        clock["now"] += dt.timedelta(seconds=2)
        return found

    monkeypatch.setattr("allocation.api.classic.views.compute_allocation", computed)

    before = api.get("/allocation", {"experiment_id": experiment.pk}).json()
    after = api.get("/allocation", {"experiment_id": experiment.pk}).json()

    assert (before["allocations"]["variant_b"], after["allocations"]["variant_b"]) == (0.7, 0.9)


def test_get_allocation__called_again__records_once(api: APIClient) -> None:
    experiment = make_running()

    for _ in range(3):
        api.get("/allocation", {"experiment_id": experiment.pk})

    assert Allocation.objects.count() == 1


def test_get_allocation__own_window_named__is_recorded(api: APIClient) -> None:
    experiment = make_running(window_days=9)

    api.get("/allocation", {"experiment_id": experiment.pk, "window_days": 9})

    assert Allocation.objects.count() == 1


def test_get_allocation__other_window__is_answered_and_not_recorded(api: APIClient) -> None:
    experiment = make_running()
    record(experiment, counts("control", 8000, 800, date=TODAY - dt.timedelta(days=3)))

    body = api.get("/allocation", {"experiment_id": experiment.pk, "window_days": 2}).json()

    assert (body["window_days"], body["parameters"]["window_days"]) == (2, 2)
    assert body["summary"]["total_impressions"] == 20000
    assert not Allocation.objects.exists()


def test_get_allocation__paused__answers_the_one_in_force(api: APIClient) -> None:
    experiment = make_running()
    stored = allocate(experiment)
    type(experiment).objects.update(status=Status.PAUSED)
    record(experiment, counts("variant_b", 10000, 10))

    body = api.get("/allocation", {"experiment_id": experiment.pk}).json()

    assert body["allocations"] == {"control": 0.3, "variant_b": 0.7}
    assert Allocation.objects.get().pk == stored.pk


def test_get_allocation__renamed_variant__has_its_new_name(api: APIClient) -> None:
    experiment = make_running()
    Variant.objects.filter(name="control").update(name="Old design")

    assert set(api.get("/allocation", {"experiment_id": experiment.pk}).json()["allocations"]) == {
        "Old design",
        "variant_b",
    }


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ({}, 422, "experiment_id"),
        ({"experiment_id": "x", "window_days": "y"}, 422, "window_days"),
        ({"experiment_id": "x", "window_days": 0}, 422, "window_days"),
        ({"experiment_id": "x", "window_days": 366}, 422, "window_days"),
    ],
)
def test_get_allocation__bad_query__names_the_field(
    api: APIClient, query: dict[str, Any], status: int, field: str
) -> None:
    response = api.get("/allocation", query)

    assert response.status_code == status
    assert [issue["field"] for issue in response.json()["errors"]] == [field]


def test_get_allocation__unknown_experiment__is_404(api: APIClient) -> None:
    response = api.get("/allocation", {"experiment_id": "no-such"})

    assert (response.status_code, response.json()["field"]) == (404, "experiment_id")


def test_get_allocation__no_variants__is_409(api: APIClient) -> None:
    response = api.get("/allocation", {"experiment_id": make_experiment().pk})

    assert (response.status_code, response.json()["code"]) == (409, "no_active_variant")


@pytest.mark.parametrize("slash", ["", "/"])
def test_get_history__dates__newest_first_and_within_the_range(api: APIClient, slash: str) -> None:
    experiment = make_running()
    dates = [TODAY + dt.timedelta(days=n) for n in range(4)]
    for date in dates:
        allocate(experiment, date)

    body = api.get(
        f"/experiments/{experiment.pk}/history{slash}",
        {"start_date": dates[1].isoformat(), "end_date": dates[2].isoformat()},
    ).json()

    assert body["experiment_id"] == experiment.pk
    assert [entry["date"] for entry in body["history"]] == [dates[2].isoformat(), dates[1].isoformat()]
    assert body["history"][0].keys() == {
        "date",
        "as_of",
        "algorithm",
        "allocations",
        "total_impressions",
        "total_clicks",
    }


def test_get_history__forty_dates__answers_thirty(api: APIClient) -> None:
    experiment = make_running()
    for n in range(40):
        allocate(experiment, TODAY + dt.timedelta(days=n))

    history = api.get(f"/experiments/{experiment.pk}/history").json()["history"]

    assert (len(history), history[0]["date"]) == (30, (TODAY + dt.timedelta(days=39)).isoformat())


def test_get_allocation__nothing_new__one_query(api: APIClient, django_assert_num_queries: Any) -> None:
    experiment = make_running()
    first = api.get("/allocation", {"experiment_id": experiment.pk}).json()

    with django_assert_num_queries(1):
        assert api.get("/allocation", {"experiment_id": experiment.pk}).json() == first


def test_get_allocation__something_new__at_most_12_queries(
    api: APIClient, django_assert_max_num_queries: Any
) -> None:
    """Two of them begin and end a savepoint, which is a transaction outside of tests, here and below."""
    experiment = make_running()
    for n in range(3, 0, -1):
        allocate(experiment, TODAY - dt.timedelta(days=n))

    with django_assert_max_num_queries(12):
        assert api.get("/allocation", {"experiment_id": experiment.pk}).json()["allocations"]


def test_get_allocation__something_new_again__at_most_8_queries(django_assert_max_num_queries: Any) -> None:
    experiment = make_running()
    allocate(experiment, TODAY - dt.timedelta(days=1))
    allocation_json(experiment.pk)
    record(experiment, counts("control", 2000, 150))

    with django_assert_max_num_queries(8):
        allocation_json(experiment.pk)

    assert Allocation.objects.filter(target_date=TODAY).count() == 2


@pytest.mark.parametrize("change", ["data", "settings", "name", "variant", "status"])
def test_get_allocation__anything_changed__is_computed_anew(api: APIClient, change: str) -> None:
    experiment = make_running()
    v1 = f"/api/v1/experiments/{experiment.key}"
    query = {"experiment_id": experiment.pk}
    first = api.get("/allocation", query).json()
    variant = experiment.variants.get(name="variant_b")

    if change == "data":
        record(experiment, counts("control", 10000, 2000))
    elif change == "settings":
        api.patch(f"{v1}/", {"settings": {"max_daily_shift": 0.1}})
    elif change == "name":
        api.patch(f"{v1}/variants/{variant.pk}/", {"name": "Blue"})
    elif change == "variant":
        api.post(f"{v1}/variants/", {"name": "c"})
    else:
        api.post(f"{v1}/complete/", {})

    assert api.get("/allocation", query).json() != first


def test_get_allocation__after_days_of_decisions__has_the_history_that_its_own_call_has(
    api: APIClient,
) -> None:
    experiment = make_running()
    query, history = {"experiment_id": experiment.pk}, f"/experiments/{experiment.pk}/history"
    for n in (40, *range(34, 0, -1)):
        record(experiment, counts("control", 1000, 70 + n, date=TODAY - dt.timedelta(days=n)))
        allocate(experiment, TODAY - dt.timedelta(days=n))
    variant = experiment.variants.get(name="variant_b")

    for n in range(2):
        record(experiment, counts("control", 10_000, 700 + 50 * n))
        assert api.get("/allocation", query).json()["history"] == api.get(history).json()["history"]
        api.patch(f"/api/v1/experiments/{experiment.key}/variants/{variant.pk}/", {"name": f"Blue {n}"})
        assert api.get("/allocation", query).json()["history"] == api.get(history).json()["history"]
    allocate(experiment, TODAY + dt.timedelta(days=1))
    assert api.get("/allocation", query).json()["history"] == api.get(history).json()["history"]


def test_get_allocation__by_a_worker_that_has_not_answered_yet__is_the_same(api: APIClient) -> None:
    experiment = make_running()
    allocate(experiment, TODAY - dt.timedelta(days=1))
    first = api.get("/allocation", {"experiment_id": experiment.pk}).json()
    for cache in ("allocation", "history"):
        caches[cache].clear()

    assert api.get("/allocation", {"experiment_id": experiment.pk}).json() == first


def test_get_history__any_length__two_queries(api: APIClient, django_assert_num_queries: Any) -> None:
    experiment = make_running()
    for n in range(5):
        allocate(experiment, TODAY + dt.timedelta(days=n))

    with django_assert_num_queries(2):
        first = api.get(f"/experiments/{experiment.pk}/history").json()
    with django_assert_num_queries(1):
        assert api.get(f"/experiments/{experiment.pk}/history").json() == first


def test_get_history__bad_date__names_the_field(api: APIClient) -> None:
    response = api.get(f"/experiments/{make_running().pk}/history", {"start_date": "yesterday"})

    assert [issue["field"] for issue in response.json()["errors"]] == ["start_date"]


def test_allocation__decided_by_another_worker_meanwhile__is_remembered_as_that_decisions_answer(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    experiment = make_running()
    before = state_with_newest(experiment.pk)
    decided = allocate(experiment)

    answer = _computed_answer(before, None, Moment(NOW, TODAY))

    with django_assert_num_queries(1):
        assert allocation_json(experiment.pk) == answer
    assert decided.created_at.isoformat() in answer.decode()


def test_allocation__new_data_that_another_worker_has_decided_on__is_found_without_a_transaction(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    experiment = make_running()
    allocate(experiment, TODAY - dt.timedelta(days=1))
    before = allocation_json(experiment.pk)
    record(experiment, counts("control", 2000, 150))
    allocate(experiment)

    with django_assert_num_queries(
        3
    ):  # the state, the experiment with its decision, its shares with its inputs
        answer = allocation_json(experiment.pk)

    caches["allocation"].clear()
    assert before != answer == allocation_json(experiment.pk)


def test_allocation__new_data_since_another_worker_decided__is_decided_on() -> None:
    experiment = make_running()
    allocation_json(experiment.pk)
    record(experiment, counts("control", 2000, 150))
    allocate(experiment)
    record(experiment, counts("control", 3000, 150))

    answer = allocation_json(experiment.pk)

    last = Allocation.objects.latest("pk")
    assert last.revision == 3
    assert last.reason in answer.decode()


@pytest.mark.parametrize("call", ["allocation", "v1-allocation", "assignment"])
def test_answers__of_ten_thousand_experiments_in_turn__are_all_kept(call: str) -> None:
    for n in range(10_000):
        caches[call].set(str(n), n)

    assert caches[call].get("0") == 0
    assert caches["default"].get("0") is None
