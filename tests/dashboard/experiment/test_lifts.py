"""Lifts are shown over a control that has successes, and worse metrics are called clear or likely."""

import datetime as dt
import json
import re

import pytest
from django.test import Client
from rest_framework.test import APIClient

from dashboard.experiment.results.leaderboard import Leaderboard
from experiments.metrics import Reward
from experiments.models import Experiment
from tests.dashboard.experiment.test_claims import context, end_with
from tests.factory import TODAY, allocate, counts, make_experiment, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]

DAY = dt.timedelta(days=1)


def make_bare() -> Experiment:
    """The control has 20,000 impressions and no click."""
    experiment = make_experiment()
    for age in (2, 1):
        date = TODAY - age * DAY
        record(experiment, counts("control", 20_000, 0, date=date), counts("b", 20_000, 30, 6, date=date))
    allocate(experiment)
    return experiment


NO_LIFT = "The control has no clicks: there is no lift to show."


@pytest.mark.parametrize("tab", ["", "explore/", "report/"])
def test_control_without_successes__pages__have_no_lift(client: Client, tab: str) -> None:
    experiment = make_bare()

    html = client.get(f"/dashboard/experiments/{experiment.key}/{tab}").content.decode()

    assert NO_LIFT in html
    # the number of the prior, 30.5 times a rate of one success in 2 * 20,000
    assert "6,000%" not in html
    assert not re.search(r"\+\d+,\d{3}%", html)


def test_control_without_successes__verdict__says_why_there_is_no_lift(client: Client) -> None:
    experiment = make_bare()

    verdict = context(client, experiment)["verdict"]

    assert verdict.title == "b leads: > 99.9% probability to be best."
    assert NO_LIFT in verdict.lines


def test_control_without_successes__ended__says_why_there_is_no_lift(client: Client) -> None:
    experiment = make_bare()
    end_with(experiment, "b")

    verdict = context(client, experiment)["verdict"]

    assert verdict.title == "Ended on 1 Sep 2025: b gets all traffic."
    assert verdict.lines[:2] == ["> 99.9% probability to be best.", NO_LIFT]


def test_control_without_successes__list_and_dialog__have_no_lift(client: Client) -> None:
    experiment = make_bare()

    html = client.get("/dashboard/").content.decode()
    choices = context(client, experiment)["ending"].choices

    assert "&gt; 99.9% probability to be best; the control has no clicks" in html
    assert [choice.lift for choice in choices] == [None, None]


def test_control_without_successes__explore__draws_no_lift(client: Client) -> None:
    shown = context(client, make_bare(), "explore/")

    (chart,) = [chart for chart in shown["charts"] if chart.id == "lift-over-time"]
    drawn = [value for series in chart.series for value in series.values]
    assert len(drawn) >= 2
    assert set(drawn) == {None}


def test_control_without_successes__api__keeps_its_numbers() -> None:
    experiment = make_bare()

    answer = APIClient().get(f"/api/v1/experiments/{experiment.key}/statistics/")

    assert json.loads(answer.content)["variants"][1]["uplift"] > 50


def test_control_without_successes__of_another_metric__is_not_compared(client: Client) -> None:
    experiment = make_experiment()
    for age in range(20, 0, -1):
        date = TODAY - age * DAY
        record(experiment, counts("control", 1000, 100, 0, date), counts("b", 1000, 130, 5, date))
    allocate(experiment)

    shown = context(client, experiment)

    assert not any(line.startswith("Conversion rate") for line in shown["verdict"].lines)
    assert all(cell is None for row in shown["leaderboard"].rows for _, cell in row.metrics)


def make_beside_orders(days: int, b: int) -> Experiment:
    """b leads on clicks; 20 orders a day of the control, ``b`` of b."""
    experiment = make_experiment()
    for age in range(days, 0, -1):
        date = TODAY - age * DAY
        record(experiment, counts("control", 1000, 100, 20, date), counts("b", 1000, 150, b, date))
    allocate(experiment)
    return experiment


def words_on(metric: Reward, leaderboard: Leaderboard) -> list[str]:
    cells = [cell for row in leaderboard.rows for column, cell in row.metrics if column.goal == metric]
    return [cell.word for cell in cells if cell and cell.word]


def test_other_metric__credible_interval_alone_below_0__is_likely_worse(client: Client) -> None:
    experiment = make_beside_orders(20, 17)
    answer = json.loads(APIClient().get(f"/api/v1/experiments/{experiment.key}/statistics/").content)
    (orders,) = [one for one in answer["secondary"] if one["metric"] == Reward.CONVERSION_RATE]
    b = orders["variants"][1]

    shown = context(client, experiment)
    verdict = shown["verdict"]
    report = client.get(f"/dashboard/experiments/{experiment.key}/report/").content.decode()

    assert b["uplift_high"] < 0 < b["uplift_always_valid"]["high"]
    assert verdict.title.startswith(
        "b leads on the goal, but is likely worse than the control on: Conversion rate (95% interval −"
    )
    assert verdict.lines[1] == (
        "Conversion rate: the 95% interval that may be looked at every day still holds 0."
    )
    assert "but is likely worse than the control on: Conversion rate" in report
    assert (verdict.tone, verdict.action.open) == ("warning", "explore")
    assert words_on(Reward.CONVERSION_RATE, shown["leaderboard"]) == ["likely worse"]


def test_other_metric__interval_for_a_daily_look_below_0__is_clearly_worse(client: Client) -> None:
    experiment = make_beside_orders(20, 10)

    shown = context(client, experiment)

    assert shown["verdict"].title == (
        "b leads on the goal, but is clearly worse than the control on: Conversion rate."
    )
    assert words_on(Reward.CONVERSION_RATE, shown["leaderboard"]) == ["clearly worse"]
