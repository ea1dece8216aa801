"""Counting: exactly once, all or none, and what a refusal says to a client."""

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from pytest_django import Settings
from rest_framework.test import APIClient

from allocation.services import complete_experiment
from experiments.models import DailyMetric, Experiment, Status, Variant
from experiments.services import change_status
from serving.counting import prune_counted_days
from serving.models import CountedDay
from tests.factory import NOW, TODAY, make_experiment, make_running
from tests.serving.conftest import Client

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

PATH = "/api/v1/counts/"
DAY = "2025-09-01"


@pytest.fixture(autouse=True)
def keys_required(settings: Settings) -> None:
    settings.API_KEY_REQUIRED = True


def increment(experiment: str = "button-colour", variant: str = "control", **more: Any) -> dict[str, Any]:
    return {"experiment": experiment, "variant": variant, "day": DAY, **more}


def post(client: APIClient, *rows: dict[str, Any], key: str = "k") -> Any:
    response = client.post(PATH, {"increments": rows}, headers={"Idempotency-Key": key})
    return response


def totals(variant: str = "control") -> tuple[Any, ...]:
    rows = DailyMetric.objects.filter(variant__name=variant)
    return rows.values_list("impressions", "clicks", "conversions", "value_sum").get()


def test_counts__increments__are_added_to_the_days_totals(shop: APIClient) -> None:
    make_running()

    response = post(
        shop,
        increment(impressions=3, clicks=1),
        increment(variant="variant_b", impressions=2, clicks=2, values=[12.5, "30.00"]),
    )

    assert response.json() == {"increments": 2, "experiments": 1, "values_capped": 0}
    assert totals() == (10_003, 701, 0, 0)
    assert totals("variant_b") == (10_002, 952, 2, Decimal("42.5"))


def test_counts__sent_again_with_its_key__are_added_once(shop: APIClient) -> None:
    make_running()
    first = post(shop, increment(impressions=3))

    again = post(shop, increment(impressions=3))

    assert (again.json(), again["Idempotent-Replayed"]) == (first.json(), "true")
    assert totals()[0] == 10_003
    assert post(shop, increment(impressions=4)).json()["code"] == "idempotency_key_reused"


def test_counts__same_key_in_another_header__is_the_same_caller(client_with: Client) -> None:
    make_running()
    client = client_with("serve")
    post(client, increment(impressions=3))
    given = client._credentials["HTTP_X_API_KEY"]  # type: ignore[attr-defined]  # the stubs leave it out
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {given}")

    assert post(client, increment(impressions=3))["Idempotent-Replayed"] == "true"
    assert totals()[0] == 10_003


def test_counts__clicks_before_their_impressions__wait_and_count_later(shop: APIClient) -> None:
    make_experiment("Fresh", status=Status.ACTIVE)
    Variant.objects.create(experiment=Experiment.objects.get(), key="control", name="control")
    Variant.objects.create(experiment=Experiment.objects.get(), key="b", name="b")
    early = increment("fresh", clicks=2), increment("fresh", "b", impressions=5, conversions=1)

    refused = post(shop, *early)

    body = refused.json()
    assert (refused.status_code, body["code"], body["rows"]) == (409, "counts_out_of_order", [0])
    assert [(e["field"], e["code"]) for e in body["errors"]] == [
        ("increments[0].clicks", "counts_out_of_order")
    ]
    # nothing of the batch was written, and its key may be used again
    assert not DailyMetric.objects.exists()
    assert post(shop, early[1]).status_code == 200
    assert post(shop, increment("fresh", impressions=2), key="k2").status_code == 200
    assert post(shop, early[0], key="k3").status_code == 200
    assert totals("control") == (2, 2, 0, 0)


def test_counts__conversions_beyond_clicks_where_the_goal_is_per_click__are_out_of_order(
    shop: APIClient,
) -> None:
    make_running(reward="click_conversion_rate")

    response = post(shop, increment(impressions=900, conversions=800))

    assert (response.json()["code"], response.json()["rows"]) == ("counts_out_of_order", [0])
    assert totals() == (10_000, 700, 0, 0)


def test_counts__experiment_that_takes_none__names_the_rows_to_drop(shop: APIClient) -> None:
    running, over = make_running("Running"), make_running("Over")
    make_experiment("Draft", status=Status.DRAFT)
    complete_experiment(experiment_id=over.pk, target_date=TODAY, now=NOW)

    response = post(
        shop,
        increment(running.key, impressions=1),
        increment(over.key, impressions=1),
        increment("draft", impressions=1),
    )

    body = response.json()
    assert (response.status_code, body["code"], body["rows"]) == (409, "counts_not_taken", [1, 2])
    assert body["errors"][0]["field"] == "increments[1].experiment"
    assert running.variants.get(name="control").daily_metrics.get().impressions == 10_000


def test_counts__paused__are_taken(shop: APIClient) -> None:
    experiment = make_running()
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)

    assert post(shop, increment(impressions=1)).status_code == 200


@pytest.mark.parametrize(
    ("row", "field", "code"),
    [
        (increment("unknown", impressions=1), "experiment", "experiment_not_found"),
        (increment(variant="c", impressions=1), "variant", "unknown_variant"),
        (increment(variant="Control", impressions=1), "variant", "similar_variant"),
        (increment(impressions=1) | {"day": "2025-09-03"}, "day", "in_future"),
        (increment(impressions=-1), "impressions", "min_value"),
        (increment(impressions="1"), "impressions", "invalid"),
        (increment(impressions=10**12), "impressions", "out_of_range"),
        (increment(impressions=1, mode="set"), "mode", "unknown_field"),
        (increment(impressions=1, conversions=0, values=[1]), "conversions", "too_few"),
    ],
)
def test_counts__one_bad_row__is_422_that_names_it_and_writes_nothing(
    shop: APIClient, row: dict[str, Any], field: str, code: str
) -> None:
    make_running()

    response = post(shop, increment(variant="variant_b", impressions=1), row)

    body = response.json()
    assert (response.status_code, body["code"], body["rows"]) == (422, "invalid", [1])
    assert [(e["field"], e["code"]) for e in body["errors"]] == [(f"increments[1].{field}", code)]
    assert totals("variant_b")[0] == 10_000
    assert Variant.objects.count() == 2


@pytest.mark.parametrize("body", [{}, {"increments": []}, {"increments": "x"}, {"increments": [[]]}, []])
def test_counts__body_of_another_shape__is_422(shop: APIClient, body: Any) -> None:
    assert shop.post(PATH, body, headers={"Idempotency-Key": "k"}).status_code == 422


def test_counts__more_than_a_thousand__are_refused_whole(shop: APIClient) -> None:
    response = post(shop, *[increment(impressions=1)] * 1001)

    assert "At most 1,000 items" in response.json()["errors"][0]["message"]


def test_counts__without_an_idempotency_key__are_refused(shop: APIClient) -> None:
    response = shop.post(PATH, {"increments": [increment(impressions=1)]})

    assert response.json()["code"] == "idempotency_key_required"


def test_counts__read_key__may_not(client_with: Client) -> None:
    make_running()

    assert post(client_with("read"), increment(impressions=1)).status_code == 403
    assert post(client_with("write"), increment(impressions=1)).status_code == 200


def test_counts__past_the_cap_of_the_day__are_429_until_midnight(shop: APIClient, settings: Settings) -> None:
    settings.SERVE_DAILY_COUNTS = 10
    make_running()
    assert post(shop, increment(impressions=6, clicks=2)).status_code == 200

    refused = post(shop, increment(impressions=3), key="k2")

    # the clock stands at noon
    assert (refused.status_code, refused.json()["code"]) == (429, "counts_capped")
    assert refused["Retry-After"] == str(12 * 3600)
    assert totals()[:2] == (10_006, 702)
    assert post(shop, increment(impressions=2), key="k3").status_code == 200
    assert post(shop, increment(impressions=11), key="k4").status_code == 429


def test_cap__another_key_and_a_write_key__have_their_own_and_none(
    client_with: Client, settings: Settings
) -> None:
    settings.SERVE_DAILY_COUNTS = 1
    make_running()

    assert post(client_with("serve"), increment(impressions=1)).status_code == 200
    assert post(client_with("serve"), increment(impressions=1)).status_code == 200
    assert post(client_with("write"), increment(impressions=100)).status_code == 200
    assert CountedDay.objects.count() == 2


def test_prune__days_that_are_over__are_deleted() -> None:
    CountedDay.objects.create(principal="key:a", date="2025-08-20", counted=1)
    CountedDay.objects.create(principal="key:a", date=TODAY, counted=1)

    assert prune_counted_days(today=TODAY) == 1
    assert CountedDay.objects.get().date == TODAY


def test_counts__throttle__is_that_of_reads(shop: APIClient, settings: Settings) -> None:
    settings.THROTTLE_RATES = {"read": "1/min", "write": None}
    make_running()
    post(shop, increment(impressions=1))

    response = post(shop, increment(impressions=1), key="k2")

    assert (response.status_code, response["Retry-After"]) == (429, "60")


def test_beacon__key_and_idempotency_key_in_a_body_of_text__counts_once(
    client_with: Client, api: APIClient
) -> None:
    make_running()
    key = client_with("serve")._credentials["HTTP_X_API_KEY"]  # type: ignore[attr-defined]  # the stubs leave it out
    row = increment(impressions=3)
    body = json.dumps({"api_key": key, "idempotency_key": "b1", "increments": [row]})

    answers = [api.generic("POST", PATH, body, content_type="text/plain;charset=UTF-8") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert totals()[0] == 10_003


@pytest.mark.parametrize("body", ["", "{", "[]", '{"api_key": 7}', '{"api_key": "wrong.wrong"}', "[" * 5000])
def test_beacon__without_a_key__is_401(api: APIClient, body: str) -> None:
    assert api.generic("POST", PATH, body, content_type="text/plain").status_code == 401


@pytest.mark.django_db(transaction=True)
def test_counts__one_batch_sent_by_eight_at_once__is_added_once(client_with: Client) -> None:
    make_running()
    key = client_with("serve")._credentials["HTTP_X_API_KEY"]  # type: ignore[attr-defined]  # the stubs leave it out

    def send(_number: int) -> int:
        client = APIClient()
        client.credentials(HTTP_X_API_KEY=key)
        try:
            return int(post(client, increment(impressions=5)).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(send, range(8)))

    assert answers <= {200, 409}
    assert 200 in answers
    assert totals()[0] == 10_005
    assert CountedDay.objects.get().counted == 5


@pytest.mark.django_db(transaction=True)
def test_counts__many_batches_at_once__are_all_added(client_with: Client) -> None:
    make_running()
    key = client_with("serve")._credentials["HTTP_X_API_KEY"]  # type: ignore[attr-defined]  # the stubs leave it out

    def send(number: int) -> int:
        client = APIClient()
        client.credentials(HTTP_X_API_KEY=key)
        try:
            return int(post(client, increment(impressions=number), key=f"k{number}").status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(send, range(1, 21))) == {200}

    assert totals()[0] == 10_000 + 210
    assert CountedDay.objects.get().counted == 210
