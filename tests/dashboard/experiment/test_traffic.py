"""The traffic tab: the allocation in force, why it is so, and the decision log."""

import csv
import datetime as dt
from typing import Any

import pytest
from django.test import Client

from experiments.models import Experiment
from tests.factory import TODAY, allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]

DAY = dt.timedelta(days=1)


def page(client: Client, experiment: Experiment, query: str = "") -> Any:
    return client.get(f"/dashboard/experiments/{experiment.key}/traffic/{query}")


def test_why__each_share__names_what_limits_it(client: Client) -> None:
    experiment = make_running(control_floor=0.4, max_daily_shift=1)
    allocate(experiment)

    rows = page(client, experiment).context["explained"]

    assert [row.limit for row in rows] == [
        "Minimum control share",
        "Reduced: other variants are at a minimum",
    ]
    assert [row.shown for row in rows] == ["40.0%", "60.0%"]


def test_why__warm_up__says_warm_up(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 50, 2), counts("b", 50, 3))
    allocate(experiment)

    assert {row.limit for row in page(client, experiment).context["explained"]} == {"Warm-up: even split"}


def test_why__warm_up_of_one_variant__speaks_of_no_split(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 50, 2))
    allocate(experiment)

    (row,) = page(client, experiment).context["explained"]

    assert row.limit == "Only active variant: all traffic"


def test_sample_ratio__in_order__is_a_word_not_a_table(client: Client) -> None:
    experiment = make_experiment()
    for age in (2, 1):
        # warm-up: even shares
        date = TODAY - age * DAY
        record(experiment, counts("a", 200, 10, date=date), counts("b", 200, 12, date=date))
        allocate(experiment, date)

    text = page(client, experiment).content.decode()

    assert "Traffic matches the allocation." in text
    assert "Sample ratio check" not in text


def test_sample_ratio__mismatch__says_on_how_many_days(client: Client) -> None:
    experiment = make_experiment()
    yesterday = TODAY - DAY
    record(experiment, counts("control", 10000, 700, date=yesterday), counts("b", 10000, 950, date=yesterday))
    allocate(experiment)
    # 30% and 70% were to come
    record(experiment, counts("control", 9000, 700), counts("b", 11000, 950))

    text = page(client, experiment).content.decode()

    assert "Traffic differs from the allocation by more than chance." in text
    assert "Days with an allocation only (1 of 2)." in text
    assert "p &lt; 0.001" in text


def test_log__many_decisions__come_in_pages_and_all_in_the_file(client: Client) -> None:
    experiment = make_running()
    for age in range(34, -1, -1):
        allocate(experiment, TODAY - age * DAY)

    first, second = page(client, experiment), page(client, experiment, "?page=2")
    response = client.get(f"/dashboard/experiments/{experiment.key}/traffic/decision-log.csv")

    assert [len(response.context["log"]) for response in (first, second)] == [20, 15]
    lines = list(csv.DictReader(response.getvalue().decode().splitlines()))
    assert len(lines) == 35
    assert (lines[0]["date"], lines[0]["version"], lines[0]["kind"]) == (TODAY.isoformat(), "1", "optimized")
    assert float(lines[0]["share of control"]) + float(lines[0]["share of variant_b"]) == 1
    assert response["Content-Disposition"] == 'attachment; filename="button-colour-decision-log.csv"'


def test_log__many_variants__names_the_largest_and_counts_the_others(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, *(counts(f"v{n:02}", 1000, 50, date=TODAY - DAY) for n in range(12)))
    allocate(experiment)

    text = page(client, experiment).content.decode()

    assert "+ 8 others" in text


def test_charts__target_and_actual__are_drawn_for_each_date(client: Client) -> None:
    experiment = make_running()
    allocate(experiment, TODAY - DAY)
    allocate(experiment)

    shares, target = page(client, experiment).context["charts"]

    assert shares.x == [TODAY - DAY, TODAY]
    assert [series.name for series in target.series][:2] == ["control", "control (target)"]
    assert sum(series.values[-1] for series in shares.series) == pytest.approx(1)
