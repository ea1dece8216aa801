"""Experiments whose goal is a value: what is recorded, verified, said and answered."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from rest_framework.test import APIClient

from allocation.engine.lab.orders import OrderValues, draw_values
from allocation.ledger.inputs import AllocationInputs
from allocation.ledger.loading import effective_settings, load_inputs
from allocation.ledger.verification import verify_ledger
from allocation.models import AllocationShare
from allocation.selectors import experiments_for_allocation
from allocation.statistics.experiment import experiment_statistics
from experiments.metrics import DailyCounts, Reward
from experiments.models import DailyMetric, Experiment
from tests.factory import TODAY, allocate, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

V1 = "/api/v1"
DAYS = 20


def make_shop(
    reward: Reward = Reward.VALUE_PER_IMPRESSION, *, daily: int = 2000, **settings: Any
) -> Experiment:
    """3% of the visitors click and buy; orders are of 50 on average, of ``dear`` of 70."""
    experiment = make_experiment("Shop", reward=reward, **settings)
    rng = np.random.default_rng(1)
    orders = rng.binomial(daily, 0.03, (DAYS, 2))
    values, squares = draw_values(orders, OrderValues(np.array([50.0, 70.0]), 0.8), rng)
    rows = [
        DailyCounts(
            TODAY - dt.timedelta(days=DAYS - 1 - day), name, daily, 2 * int(orders[day, i]), int(orders[day, i]),
            (value := Decimal(f"{values[day, i]:.4f}")), min(float(squares[day, i]) * (1 + 1e-4), float(value) ** 2),
        )
        for day in range(DAYS)
        for i, name in enumerate(("control", "dear"))
    ]  # fmt: skip
    record(experiment, *rows)
    return experiment


def totals(experiment: Experiment, name: str) -> dict[str, list[Any]]:
    rows = DailyMetric.objects.filter(variant__experiment=experiment, variant__name=name).order_by("date")
    return {field: list(rows.values_list(field, flat=True)) for field in ("conversions", "value_sum")}


def test_allocation__values__are_recorded_as_money_beside_the_conversions() -> None:
    shop = make_shop()

    allocation = allocate(shop)

    dear = allocation.shares.get(variant__name="dear")
    stored = totals(shop, "dear")
    assert dear.trials == 2000 * DAYS
    assert dear.successes == sum(stored["conversions"])
    assert dear.value_sum == pytest.approx(float(sum(stored["value_sum"])))
    assert dear.rate == pytest.approx(float(sum(stored["value_sum"])) / (2000 * DAYS), rel=0.02)
    assert (dear.rate or 0) > 1  # money, not a part of the visits
    assert dear.effective_orders == pytest.approx(sum(stored["conversions"]) / 1.64, rel=0.15)
    assert dear.probability_best == pytest.approx(1, abs=1e-3)
    assert 0 < (dear.largest_part or 0) < 0.1
    # traffic was even, and half of it would have brought 0.6 more
    assert allocation.gained_over_even == pytest.approx(0, abs=1e-6)
    assert allocation.given_up == pytest.approx(2000 * DAYS * 0.6, rel=0.25)


def test_allocation__equal_orders_of_one_day__warns_of_none_of_them() -> None:
    shop = make_experiment("Shop", reward=Reward.VALUE_PER_IMPRESSION)
    rows = [DailyCounts(TODAY, name, 2000, 80, 60, Decimal(1800), 54_000.0) for name in ("control", "dear")]
    record(shop, *rows)

    allocation = allocate(shop)

    assert [share.largest_part for share in allocation.shares.all()] == pytest.approx([1 / 60] * 2)
    assert "One order" not in allocation.reason
    assert [found.differences for found in verify_ledger()] == [[]]


def test_allocation__value_per_click__has_clicks_for_trials() -> None:
    dear = allocate(make_shop(Reward.VALUE_PER_CLICK)).shares.get(variant__name="dear")

    assert dear.trials == 2 * dear.successes
    assert dear.rate == pytest.approx(35, rel=0.1)


def test_inputs__values__are_columns_that_give_the_same_decision_again() -> None:
    shop = make_shop()
    recorded = allocate(shop).recorded_inputs

    first_value = totals(shop, "control")["value_sum"][0]
    assert recorded["counts"]["value_sum"][0][0] == float(first_value)
    assert len(recorded["counts"]["value_squares"][1]) == DAYS
    again = AllocationInputs.from_json(json.loads(json.dumps(recorded)), shop.pk)
    assert again.as_json == recorded
    assert again.to_request().history.squares is not None


def test_inputs__counts__have_no_column_of_values() -> None:
    recorded = allocate(make_running()).recorded_inputs

    assert set(recorded["counts"]) == {"first_date", "days", "impressions", "clicks", "conversions"}


def test_load_inputs__values_beside_counts__are_what_each_is_alone() -> None:
    ids = [make_shop().pk, make_running().pk]
    experiments = list(experiments_for_allocation(TODAY).filter(pk__in=ids))
    settings = {experiment.pk: effective_settings(experiment) for experiment in experiments}

    together = load_inputs(experiments, settings, TODAY)

    for experiment, found in zip(experiments, together, strict=True):
        alone = load_inputs([experiment], settings, TODAY)[0]
        assert alone.as_json == found.as_json


def test_verify_ledger__values__finds_no_difference_and_sees_a_changed_one() -> None:
    shop = make_shop()
    allocate(shop, TODAY - dt.timedelta(days=1))
    allocate(shop)
    allocate(make_shop_without_data())

    assert [found.differences for found in verify_ledger()] == [[], [], []]

    share = AllocationShare.objects.filter(allocation__experiment=shop).latest("pk")
    AllocationShare.objects.filter(pk=share.pk).update(value_sum=1.0)
    assert [len(found.differences) for found in verify_ledger()].count(1) == 1


def make_shop_without_data() -> Experiment:
    shop = make_experiment("Empty shop", reward=Reward.VALUE_PER_IMPRESSION)
    record(shop, *(DailyCounts(TODAY, name, 0, 0) for name in ("control", "dear")))
    return shop


def test_statistics__values__are_per_visitor_and_compared(api: APIClient) -> None:
    shop = make_shop()
    allocate(shop)

    answer = api.get(f"{V1}/experiments/{shop.key}/statistics/").json()

    control, dear = answer["variants"]
    assert answer["leader"] == "dear"
    assert (control["rate"], dear["rate"]) == pytest.approx((1.5, 2.1), rel=0.1)
    assert dear["uplift"] == pytest.approx(dear["rate"] / control["rate"] - 1, abs=1e-9)
    assert dear["uplift_low"] < dear["uplift"] < dear["uplift_high"]
    always_valid = dear["uplift_always_valid"]
    assert always_valid["low"] < dear["uplift_low"] < dear["uplift_high"] < always_valid["high"]
    assert dear["successes"] == sum(totals(shop, "dear")["conversions"])
    assert dear["value_sum"] == pytest.approx(float(sum(totals(shop, "dear")["value_sum"])))
    assert dear["effective_orders"] > 20
    assert control["expected_loss"] == pytest.approx(dear["rate"] - control["rate"], rel=0.05)


def test_statistics__window_shorter_than_history__compares_all_days_always_validly() -> None:
    whole, week = make_shop(), make_shop(window_days=7)

    all_days, last_week = (experiment_statistics(shop.pk, TODAY).variants[1] for shop in (whole, week))

    assert last_week.trials == 7 * 2000
    assert last_week.uplift_always_valid is not None
    assert all_days.uplift_always_valid is not None
    assert last_week.uplift_always_valid.p_value == pytest.approx(
        all_days.uplift_always_valid.p_value, rel=0.5
    )


def test_statistics__fewer_than_twenty_orders__is_not_enough_data() -> None:
    shop = make_shop(daily=10, min_impressions=0)

    found = experiment_statistics(shop.pk, TODAY)

    assert [row.enough_data for row in found.variants] == [False, False]
    assert all(row.missing_trials > 0 for row in found.variants)
    assert found.sentence == "No variant has enough data yet."


def test_sentences__one_order_makes_much_of_the_value__say_so() -> None:
    shop = make_shop()
    row = DailyMetric.objects.filter(variant__name="dear").latest("date")
    DailyMetric.objects.filter(pk=row.pk).update(
        value_sum=row.value_sum + 12_000, value_squares=row.value_squares + 12_000.0**2
    )

    allocation = allocate(shop)

    assert allocation.reason.endswith("One order may make more than 10% of the value of dear.")
    words = (
        "One order may make more than 10% of dear's value. "
        "This bound is loose below about 100 orders of very different value."
    )
    assert experiment_statistics(shop.pk, TODAY).sentence.endswith(words)


def test_statistics__counts__have_no_value(api: APIClient) -> None:
    running = make_running()
    allocate(running)

    row = api.get(f"{V1}/experiments/{running.key}/statistics/").json()["variants"][0]

    assert (row["value_sum"], row["effective_orders"], row["largest_part"]) == (None, None, None)


def test_allocation__other_currency__splits_the_same() -> None:
    euros, cents = make_shop(), make_shop()
    for row in DailyMetric.objects.filter(variant__experiment=cents):
        DailyMetric.objects.filter(pk=row.pk).update(
            value_sum=row.value_sum * 100, value_squares=row.value_squares * 1e4
        )

    one, other = (allocate(shop).shares.order_by("variant_id") for shop in (euros, cents))

    for first, second in zip(one, other, strict=True):
        assert second.share == first.share
        assert second.rate == pytest.approx(100 * (first.rate or 0))
