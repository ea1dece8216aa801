"""/api/v1/ about allocations, assignment, statistics, simulations and backtests."""

import csv
import datetime as dt
import io
from typing import Any

import pytest
from rest_framework.test import APIClient

from allocation.engine.assignment import assign
from allocation.models import Allocation
from experiments.models import Experiment, Status
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record

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
            "message": "'variant_b' is retired; bring it back first, or name another variant",
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


def test_statistics__running__has_state_uplift_and_rewards(api: APIClient) -> None:
    experiment = make_running()
    record(
        experiment,
        *(
            counts(n, 10000, c, date=TODAY - dt.timedelta(days=1))
            for n, c in (("control", 700), ("variant_b", 950))
        ),
    )
    allocate(experiment, TODAY - dt.timedelta(days=1))

    body = api.get(f"{V1}/experiments/{experiment.key}/statistics/").json()

    assert (body["state"], body["leader"], body["days_with_data"]) == ("leader", "variant_b", 2)
    assert "variant_b leads" in body["sentence"]
    control, b = body["variants"]
    assert control["uplift"] is None
    assert b["uplift"] == pytest.approx(1901 / 1401 - 1)
    assert b["uplift_low"] < b["uplift"] < b["uplift_high"]
    assert b["beats_control"] > 0.999
    # of the first day it decided nothing: that day's counts are what it rests on
    assert body["sample_ratio"]["observed"] == {"control": 10000.0, "variant_b": 10000.0}
    assert body["as_of"] == {"date": "2025-09-01", "data_through": "2025-09-01"}
    assert (b["enough_data"], b["missing_trials"], body["comparable"]) == (True, 0, True)
    assert body["rewards"]["gained_over_even"] == pytest.approx(0, abs=1e-6)
    assert body["rewards"]["gained_low"] <= 0 <= body["rewards"]["gained_high"]
    # each day at the rates of the decision that priced it first; the prior adds a success at the pooled 8.25%
    first, second = 10000 * 250 / (10000 + 1 / 0.0825), 10000 * 500 / (20000 + 1 / 0.0825)
    by_day = [row["given_up"] for row in body["rewards"]["by_day"]]
    assert by_day == pytest.approx([first, first + second], rel=1e-6)


def test_statistics__uplift_always_valid__is_wider_than_the_credible_interval(api: APIClient) -> None:
    body = api.get(f"{V1}/experiments/{make_running().key}/statistics/").json()

    control, b = body["variants"]
    sequence = b["uplift_always_valid"]
    assert control["uplift_always_valid"] is None
    assert 0 < sequence["low"] < b["uplift_low"] < b["uplift_high"] < sequence["high"]
    assert sequence["p_value"] < 1e-6


def test_statistics__as_csv__has_a_line_for_each_variant_with_the_answers_numbers(api: APIClient) -> None:
    experiment = make_running()
    url = f"{V1}/experiments/{experiment.key}/statistics/"
    as_json = api.get(url).json()

    response = api.get(url, {"format": "csv"})

    control, b = csv.DictReader(io.StringIO(response.content.decode()))
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert (b["experiment"], b["date"], b["data_through"]) == (experiment.key, "2025-09-01", "2025-09-01")
    assert (control["is_control"], control["uplift"], control["uplift_always_valid_p_value"]) == (
        "true",
        "",
        "",
    )
    said = as_json["variants"][1]
    assert (b["variant_key"], b["trials"], b["enough_data"]) == ("variant_b", "10000", "true")
    assert float(b["uplift"]) == said["uplift"]
    assert {name: float(b[f"uplift_always_valid_{name}"]) for name in ("low", "high", "p_value")} == said[
        "uplift_always_valid"
    ]


def test_statistics__as_csv__name_like_a_formula__is_text(api: APIClient) -> None:
    experiment = make_running()
    experiment.variants.filter(key="variant_b").update(name="=1+1")

    response = api.get(f"{V1}/experiments/{experiment.key}/statistics/", {"format": "csv"})

    assert [row["variant_name"] for row in csv.DictReader(io.StringIO(response.content.decode()))][
        1
    ] == "'=1+1"


def test_statistics__traffic_that_ignored_the_split__is_a_mismatch(api: APIClient) -> None:
    experiment = make_experiment()
    yesterday = TODAY - dt.timedelta(days=1)
    record(experiment, counts("control", 10000, 700, date=yesterday), counts("b", 10000, 950, date=yesterday))
    allocate(experiment)
    record(experiment, counts("control", 10000, 700), counts("b", 10000, 950))

    ratio = api.get(f"{V1}/experiments/{experiment.key}/statistics/").json()["sample_ratio"]

    assert ratio["mismatch"] is True
    assert ratio["expected"] == {"control": pytest.approx(6000), "b": pytest.approx(14000)}


def test_statistics__split_decided_from_the_days_own_counts__is_compared_from_the_next_day_on(
    api: APIClient,
) -> None:
    experiment = make_running()
    allocate(experiment)

    ratio = api.get(f"{V1}/experiments/{experiment.key}/statistics/").json()["sample_ratio"]

    assert ratio is None


def test_statistics__leader_far_below_95_percent_of_traffic__passed_on_the_day_it_became_likely_enough(
    api: APIClient,
) -> None:
    days = [TODAY - dt.timedelta(days=age) for age in (2, 1, 0)]
    experiment = make_experiment(min_explore_rate=0.3)
    for day, control, b in zip(days, (50, 500, 500), (70, 520, 640), strict=True):
        size = 400 if day == days[0] else 10_000
        record(experiment, counts("control", size, control, date=day), counts("b", size, b, date=day))
        allocate(experiment, day)

    convergence = api.get(f"{V1}/experiments/{experiment.key}/statistics/").json()["convergence"]

    shares = {row["date"]: row["share"] for row in convergence["leader_share"]}
    chances = {row["date"]: row["probability_best"] for row in convergence["leader_probability_best"]}
    first, second, third = (day.isoformat() for day in days)
    assert list(shares) == [first, second, third]
    assert max(shares.values()) <= 0.85
    # 800 impressions are warm-up: however likely, nothing is said of a leader yet
    assert list(chances) == [second, third]
    assert chances[second] < 0.95 < chances[third]
    assert convergence["first_passed_95_percent"] == third


def test_statistics__a_single_variant__has_passed_nothing(api: APIClient) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 10_000, 700))
    allocate(experiment)

    convergence = api.get(f"{V1}/experiments/{experiment.key}/statistics/").json()["convergence"]

    assert convergence["first_passed_95_percent"] is None


def test_statistics__no_control__compare_with_nothing(api: APIClient) -> None:
    experiment = make_running()
    experiment.variants.update(is_control=False)

    body = api.get(f"{V1}/experiments/{experiment.key}/statistics/").json()

    for variant in body["variants"]:
        assert variant["uplift"] is variant["uplift_low"] is variant["uplift_high"] is None
        assert variant["beats_control"] is None
    assert body["leader"] == "variant_b"


def test_statistics__draft_with_variants__is_collecting(api: APIClient) -> None:
    body = {"name": "Soon", "status": "draft", "variants": [{"name": "control"}, {"name": "b"}]}
    key = api.post(f"{V1}/experiments/", body).json()["key"]

    found = api.get(f"{V1}/experiments/{key}/statistics/").json()

    assert (found["state"], found["days_with_data"], found["rewards"]["by_day"]) == ("collecting", 0, [])


@pytest.mark.parametrize("status", [Status.DRAFT, Status.ACTIVE])
def test_statistics__no_variants__is_409(api: APIClient, status: Status) -> None:
    experiment = make_experiment(status=status)

    assert api.get(f"{V1}/experiments/{experiment.key}/statistics/").json()["code"] == "no_active_variant"


def test_simulations__two_policies__answer_what_the_command_answers(api: APIClient) -> None:
    body = {
        "rates": [0.04, 0.06],
        "daily_traffic": 2000,
        "days": 10,
        "runs": 20,
        "policies": ["thompson", "even"],
    }

    policies = api.post(f"{V1}/simulations/", body).json()["policies"]

    assert policies.keys() == {"thompson", "even"}
    assert policies["thompson"]["regret_mean"] < policies["even"]["regret_mean"]
    assert len(policies["thompson"]["mean_shares_by_day"]) == 10


def test_simulations__values__are_of_the_goal_of_value_per_visit(api: APIClient) -> None:
    body = {"rates": [0.1, 0.1], "order_values": [20, 30], "value_cv": 0.5, "days": 10, "runs": 20}

    policies = api.post(f"{V1}/simulations/", body).json()["policies"]

    # half of 1,000 visits on 10 days, 10% of which bring 10 less
    assert policies["even"]["regret_mean"] == pytest.approx(5000, rel=0.05)
    assert policies["thompson"]["best_in_front"] > 0.9


def test_simulations__worths_of_other_length__are_422_and_name_the_field(api: APIClient) -> None:
    response = api.post(f"{V1}/simulations/", {"rates": [0.1, 0.1], "order_values": [20, 30, 40]})

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "order_values"


def test_simulations__past_the_bound__are_422_with_the_bound(api: APIClient) -> None:
    response = api.post(f"{V1}/simulations/", {"rates": [0.1, 0.2], "days": 3000, "runs": 1000})

    assert response.status_code == 422
    assert "500,000" in response.json()["detail"]


@pytest.mark.parametrize(
    "more",
    [
        {"rates": [0.1] * 100, "days": 10, "runs": 60},
        {"stop": "value-remaining", "days": 100, "runs": 700},
        {"settings": {"window_days": 365}, "days": 365, "runs": 100},
    ],
)
def test_simulations__what_takes_longer__counts_for_more(api: APIClient, more: dict[str, Any]) -> None:
    response = api.post(f"{V1}/simulations/", {"rates": [0.1, 0.2], "policies": ["thompson"], **more})

    assert response.status_code == 422
    assert "counts as" in response.json()["detail"]
    assert "500,000" in response.json()["detail"]


def test_backtests__past_tests__answer_regret_beside_an_even_split(api: APIClient) -> None:
    variants = [
        {"variant": "control", "impressions": 4000, "clicks": 80},
        {"variant": "b", "impressions": 4000, "clicks": 160},
    ]

    answer = api.post(
        f"{V1}/backtests/", {"tests": [{"experiment": "one", "variants": variants}], "runs": 5}
    ).json()

    assert answer["tests"] == 1
    assert answer["policies"]["thompson"]["regret_ratio"] < 0.8


def _valued(variant: str, total: int, **fields: Any) -> dict[str, Any]:
    totals = {"impressions": 4000, "conversions": 80, "value_sum": total, "value_squares": total * total / 40}
    return {"variant": variant, **totals, **fields}


def test_backtests__values__answer_regret_in_value(api: APIClient) -> None:
    variants = [_valued("control", 4000), _valued("b", 2000), _valued("b", 3500)]
    body = {"tests": [{"experiment": "one", "variants": variants}], "goal": "value_per_impression"}

    refused = api.post(f"{V1}/backtests/", body).json()
    answer = api.post(f"{V1}/backtests/", {**body, "repeated": "sum"}).json()

    assert [issue["field"] for issue in refused["errors"]] == ["tests[0].variants[2].variant"]
    assert answer["policies"]["thompson"]["regret"] > 0


def test_backtests__numbers_that_the_goal_needs__are_asked_for_by_name(api: APIClient) -> None:
    variants = [{"variant": "control", "impressions": 10}, _valued("b", 5, value_squares=1)]
    body = {"tests": [{"experiment": "one", "variants": variants}]}

    by_clicks = api.post(f"{V1}/backtests/", body)
    by_value = api.post(f"{V1}/backtests/", {**body, "goal": "value_per_impression"}).json()

    assert by_clicks.status_code == 422
    assert [issue["field"] for issue in by_clicks.json()["errors"]] == [
        "tests[0].variants[0].clicks",
        "tests[0].variants[1].clicks",
    ]
    assert [issue["field"] for issue in by_value["errors"]] == [
        "tests[0].variants[0].conversions",
        "tests[0].variants[0].value_sum",
        "tests[0].variants[0].value_squares",
    ]


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
    for age in range(25):
        allocate(experiment, TODAY - dt.timedelta(days=age))
    url = f"{V1}/experiments/{experiment.key}/allocations/"

    pages = [
        api.get(url, {"ordering": "-revision", "page_size": "5", "page": str(page)}).json()
        for page in range(1, 6)
    ]

    assert len({entry["id"] for page in pages for entry in page["results"]}) == 25
