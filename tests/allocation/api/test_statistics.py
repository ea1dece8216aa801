"""/api/v1/ about statistics."""

import csv
import datetime as dt
import io

import pytest
from rest_framework.test import APIClient

from experiments.models import Status
from tests.factory import TODAY, allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

V1 = "/api/v1"


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
    # today's traffic came evenly, whatever yesterday's decision said
    assert body["sentence"] == "Traffic does not match the allocation (SRM): do not trust these numbers yet."
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


@pytest.mark.parametrize(("control", "b", "state"), [(10_000, 10_000, "leader"), (6_000, 14_000, "decided")])
def test_statistics__mismatch_that_no_alarm_tells_of_yet__is_not_decided(
    api: APIClient, control: int, b: int, state: str
) -> None:
    experiment = make_experiment()
    for age in range(14, 0, -1):
        day = TODAY - dt.timedelta(days=age)
        record(experiment, counts("control", 10000, 700, date=day), counts("b", 10000, 950, date=day))
    allocate(experiment)
    record(experiment, counts("control", control, control * 7 // 100), counts("b", b, b * 95 // 1000))

    body = api.get(f"{V1}/experiments/{experiment.key}/statistics/").json()

    assert (body["sample_ratio"]["mismatch"], body["state"]) == (state == "leader", state)
    assert body["sentence"].startswith("Traffic does not match the allocation (SRM)") == (state == "leader")


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


def test_statistics__ended_on_the_first_sure_day__passed_on_that_day(api: APIClient) -> None:
    experiment = make_running()
    allocate(experiment)
    api.post(f"{V1}/experiments/{experiment.key}/complete/", {"winner": "variant_b"})
    allocate(experiment)

    convergence = api.get(f"{V1}/experiments/{experiment.key}/statistics/").json()["convergence"]

    today = TODAY.isoformat()
    [chance] = convergence["leader_probability_best"]
    assert chance["date"] == convergence["first_passed_95_percent"] == today
    assert chance["probability_best"] >= 0.95
    # the end has the last word on traffic
    assert convergence["leader_share"] == [{"date": today, "share": 1.0}]


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
