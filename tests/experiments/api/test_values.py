"""Values through the APIs: numbers or exact text, single values with the cap, and files that carry them."""

import json
from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from experiments.models import DailyMetric, Experiment
from tests.factory import TODAY, make_experiment, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

EVENTS = "/api/v1/events/"
DAY = TODAY.isoformat()


def _row(**more: Any) -> dict[str, Any]:
    place = {"experiment_id": "button-colour", "date": DAY, "variant_name": "control"}
    return {**place, "impressions": 100, "clicks": 10, **more}


def _send(api: APIClient, *rows: dict[str, Any], mode: str = "set", key: str = "k") -> Any:
    body = json.dumps({"mode": mode, "rows": rows})  # knows NaN, as some clients do
    return api.post(EVENTS, body, content_type="application/json", headers={"Idempotency-Key": key})


def _problem(response: Any) -> tuple[str, str]:
    assert response.status_code == 422, response.content
    (issue,) = response.json()["errors"]
    return issue["field"], issue["message"]


def _stored() -> tuple[Any, ...]:
    return DailyMetric.objects.values_list("conversions", "value_sum", "value_squares").get()


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (42.5, "42.5"),
        (42, "42"),
        ("42.50", "42.5"),
        (0.0001, "0.0001"),
        ("12345678901.2345", "12345678901.2345"),
    ],
)
def test_events__value_sum__is_read_exactly_as_number_or_text(api: APIClient, given: Any, value: str) -> None:
    make_experiment()

    squares = float(value) ** 2

    response = _send(api, _row(conversions=2, value_sum=given, value_squares=squares))

    assert response.status_code == 200, response.content
    assert _stored() == (2, Decimal(value), squares)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (-1, "Must be from 0 to 1000000000000000: check its sign and its digits."),
        ("-1", "Must be from 0 to 1000000000000000: check its sign and its digits."),
        (10**15 + 1, "Must be from 0 to 1000000000000000: check its sign and its digits."),
        (10**4000, "Must be from 0 to 1000000000000000: check its sign and its digits."),
        (0.12345, "Must have at most 4 decimal places; round it."),
        ("0.12345", "Must have at most 4 decimal places; round it."),
        (123456789012.5, 'A number this large is exact only as text, such as "123456789012.3456".'),
        ("12,50", 'Must be a number, or text such as "12.50".'),
        ("1e3", 'Must be a number, or text such as "12.50".'),
        (True, 'Must be a number, or text such as "12.50".'),
        (float("nan"), 'Must be a number, or text such as "12.50".'),
        (float("inf"), 'Must be a number, or text such as "12.50".'),
        ([1], 'Must be a number, or text such as "12.50".'),
    ],
)
def test_events__value_sum_that_is_none__is_refused_with_the_fix(
    api: APIClient, value: Any, words: str
) -> None:
    make_experiment()

    assert _problem(_send(api, _row(value_sum=value, value_squares=1))) == ("rows[0].value_sum", words)
    assert not DailyMetric.objects.exists()


@pytest.mark.parametrize("squares", [-1, 1e31, "1", True, None, float("nan")])
def test_events__value_squares_out_of_range__are_refused(api: APIClient, squares: Any) -> None:
    make_experiment()

    assert _problem(_send(api, _row(value_sum=1, value_squares=squares)))[0] == "rows[0].value_squares"


def test_events__more_squares_than_the_sum_can_have__name_the_field_and_the_most(api: APIClient) -> None:
    make_experiment()

    field, message = _problem(_send(api, _row(conversions=60, value_sum=3000, value_squares=90_000_000)))

    assert field == "rows[0].value_squares"
    assert "up to 9000000 at most. Square each single value, in the unit of the sum" in message


def test_events__value_sum_without_squares__names_the_field_and_the_fix(api: APIClient) -> None:
    make_experiment(reward="value_per_impression")

    field, message = _problem(_send(api, _row(conversions=2, value_sum=42.5)))

    assert field == "rows[0].value_squares"
    assert "then add the squares up (for 12.5 and 30 it is 1056.25)" in message


def test_events__single_values__count_as_conversions_and_are_cut_at_the_cap(api: APIClient) -> None:
    make_experiment(value_cap=Decimal("20.5"))

    first = _send(api, _row(values=[12.5, "30"]), mode="add", key="one")
    again = _send(api, _row(values=[12.5, "30"]), mode="add", key="one")
    other = _send(api, _row(values=[], conversions=1), mode="add", key="two")

    assert first.json() == {
        "rows": 1,
        "new_variants": 1,
        "experiments": 1,
        "values_capped": 1,
        "new_variant_names": ["control"],
    }
    assert again.json() == first.json()
    assert other.json()["values_capped"] == 0
    assert _stored() == (3, Decimal("33"), 12.5**2 + 20.5**2)


def test_events__one_day_with_single_values__is_summed_too(api: APIClient) -> None:
    make_experiment()
    variants = [
        {"variant_name": "control", "impressions": 9, "clicks": 2, "conversions": 3, "values": [1, 2]}
    ]
    body = {"mode": "add", "experiment_id": "button-colour", "date": DAY, "variants": variants}

    assert api.post(EVENTS, body, headers={"Idempotency-Key": "k"}).status_code == 200
    assert _stored() == (3, Decimal(3), 5.0)

    variants[0]["conversions"] = 1
    refused = api.post(EVENTS, body, headers={"Idempotency-Key": "k2"})
    assert _problem(refused)[0] == "variants[0].conversions"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        (["x"], "rows[0].values[0]"),
        ([1, -2], "rows[0].values[1]"),
        (3, "rows[0].values"),
        ([1] * 10_001, "rows[0].values"),
    ],
)
def test_events__bad_single_values__are_named_one_by_one(api: APIClient, values: Any, field: str) -> None:
    make_experiment()

    assert _problem(_send(api, _row(values=values), mode="add"))[0] == field


def test_events__single_values_in_mode_set__are_refused(api: APIClient) -> None:
    make_experiment()

    field, message = _problem(_send(api, _row(values=[1])))

    assert (field, message[:36]) == ("rows[0].values", "single values are for mode add; in m")


def test_classic_events__values__are_taken_and_shown_only_where_there_are_some(api: APIClient) -> None:
    make_running("Plain")
    valued = make_experiment()
    plain = {"variant_name": "control", "impressions": 100, "clicks": 10, "conversions": 2}
    body = {
        "experiment_id": valued.pk,
        "date": DAY,
        "variants": [{**plain, "value_sum": 42.5, "value_squares": 1056.25}],
    }

    assert api.post("/events", body).json() == {
        "status": "success",
        "variants_processed": 1,
        "new_variants": ["control"],
    }

    (row,) = api.get(f"/experiments/{valued.key}").json()["metrics"]
    assert row == {"date": DAY, **plain, "value_sum": 42.5, "value_squares": 1056.25, "ctr": 0.1}
    listed = {found["name"]: found["metrics"] for found in api.get("/experiments").json()}
    assert listed["Button colour"] == [row]
    assert listed["Plain"] == api.get("/experiments/plain").json()["metrics"]
    assert set(listed["Plain"][0]) == {
        "date", "variant_name", "impressions", "clicks", "conversions", "ctr",
    }  # fmt: skip


def test_classic_events__single_values__are_no_field_of_its_calls(api: APIClient) -> None:
    body = {
        "experiment_id": make_experiment().pk,
        "date": DAY,
        "variants": [{"variant_name": "a", "impressions": 1, "clicks": 1, "values": [1]}],
    }

    assert _problem(api.post("/events", body))[0] == "variants[0].values"


def test_metrics__values__are_numbers_or_text_that_keeps_every_digit(api: APIClient) -> None:
    make_experiment()
    url = "/api/v1/experiments/button-colour/metrics/"

    _send(api, _row(conversions=2, value_sum=42.5, value_squares=1056.25))
    (row,) = api.get(url).json()["results"]
    assert (row["value_sum"], row["value_squares"]) == (42.5, 1056.25)

    _send(api, _row(conversions=1, value_sum=10**15, value_squares=1e30), key="other")
    assert json.loads(api.get(url).content)["results"][0]["value_sum"] == 10**15


def test_metrics_csv__values__have_columns_only_where_there_are_some(api: APIClient) -> None:
    plain, valued = make_running("Plain"), make_experiment()
    _send(api, _row(conversions=2, value_sum="42.50", value_squares=1056.25))

    def lines(experiment: Experiment) -> list[str]:
        file = api.get(f"/api/v1/experiments/{experiment.key}/metrics/", headers={"Accept": "text/csv"})
        return b"".join(file.streaming_content).decode().splitlines()  # type: ignore[attr-defined]  # streamed

    assert lines(plain)[0] == "experiment_id,date,variant_name,impressions,clicks,conversions"
    assert lines(valued) == [
        "experiment_id,date,variant_name,impressions,clicks,conversions,value_sum,value_squares",
        f"{valued.pk},{DAY},control,100,10,2,42.5,1056.25",
    ]


def test_events__mode_add__what_is_left_out_adds_nothing(api: APIClient) -> None:
    make_experiment()
    _send(api, _row(conversions=3, value_sum=8, value_squares=64))
    place = {"date": DAY, "experiment_id": "button-colour"}

    batch = _send(api, {**place, "variant_name": "control", "clicks": 2}, mode="add", key="a")
    day = {"mode": "add", **place, "variants": [{"variant_name": "control", "conversions": 1}]}
    one_day = api.post(EVENTS, day, headers={"Idempotency-Key": "b"}, format="json")

    assert (batch.status_code, one_day.status_code) == (200, 200), one_day.content
    row = DailyMetric.objects.get()
    assert (row.impressions, row.clicks, *_stored()) == (100, 12, 4, Decimal(8), 64.0)


def test_events__mode_set__counts_must_be_given_and_values_stay(api: APIClient) -> None:
    make_experiment()
    _send(api, _row(conversions=2, value_sum="42.50", value_squares=1056.25))

    refused = _send(api, {k: v for k, v in _row().items() if k != "impressions"}, key="x")
    classic = {"experiment_id": "button-colour", "date": DAY, "variant_name": "control"}
    answers = [
        _send(api, _row(conversions=2), key="y"),
        api.post("/events", {**classic, "impressions": 90, "clicks": 9}),
    ]

    assert _problem(refused)[0] == "rows[0].impressions"
    assert [answer.status_code for answer in answers] == [200, 422]
    # the stored value cannot be that of no conversion with these squares
    assert _stored() == (2, Decimal("42.5"), 1056.25)
