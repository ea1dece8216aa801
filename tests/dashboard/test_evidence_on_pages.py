"""Pages show what is known, and say so where too little is."""

import datetime as dt
import json
from typing import Any

import numpy as np
import pytest
from django.test import Client

from dashboard.experiment.explore import charts
from dashboard.experiment.lines import Line
from dashboard.experiment.rates import DailyCountsTable
from dashboard.experiment.summary import experiment_or_404, summarise_head
from experiments.metrics import Measures, Reward
from experiments.models import Experiment, Variant
from experiments.roles import Role
from tests.factory import TODAY, allocate, counts, make_experiment, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]


@pytest.fixture
def own_machine(settings: Any) -> None:
    settings.DASHBOARD_LOGIN_REQUIRED, settings.DASHBOARD_VISITOR_ROLE = False, Role.ADMIN


def _page(client: Client, experiment: Experiment, tab: str) -> str:
    return client.get(f"/dashboard/experiments/{experiment.key}/{tab}").content.decode()


def _with_newcomer(control: str) -> Experiment:
    """Two weeks of two variants, and one click of ten impressions."""
    experiment = make_experiment()
    for age in range(14, 0, -1):
        day = TODAY - dt.timedelta(days=age)
        record(experiment, counts("a", 5000, 250, date=day), counts("b", 5000, 300, date=day))
    record(experiment, counts("new", 10, 1, date=TODAY - dt.timedelta(days=1)))
    Variant.objects.filter(experiment=experiment).update(is_control=False)
    Variant.objects.filter(experiment=experiment, key=control).update(is_control=True)
    allocate(experiment)
    return experiment


def test_explore__variant_with_little_data__has_neither_rate_nor_rank_nor_curve(client: Client) -> None:
    experiment = _with_newcomer("a")

    response = client.get(f"/dashboard/experiments/{experiment.key}/explore/")

    assert b"Not enough data" in response.content
    densities = next(chart for chart in response.context["charts"] if chart.id == "densities")
    assert [curve.name for curve in densities.series] == ["a", "b"]


@pytest.mark.parametrize(("control", "is_compared"), [("a", True), ("new", False)])
def test_explore__control_with_little_data__nothing_is_compared_with_it(
    client: Client, control: str, is_compared: bool
) -> None:
    experiment = _with_newcomer(control)

    page = _page(client, experiment, "explore/")

    assert ("+20.0%" in page) == is_compared
    assert "95%, on any day" in page
    assert ("The control does not have enough data" in page) != is_compared
    summary = summarise_head(experiment_or_404(experiment.key, TODAY), TODAY)
    assert (summary.uplift is not None) == is_compared
    assert summary.gain is not None
    assert summary.gain.through == TODAY - dt.timedelta(days=1)


def test_rates__every_trial_a_success__are_drawn_near_1() -> None:
    lines = [Line("a", "variant-control", (1,)), Line("b", "variant-1", (2,))]
    all_good, none = np.array([[100.0, 100.0], [100.0, 100.0]]), np.zeros((2, 2))
    measures = Measures(all_good, all_good, all_good, none, none)
    table = DailyCountsTable(lines, [TODAY, TODAY + dt.timedelta(days=1)], measures)

    chart = charts.daily_rates(table, Reward.CTR, (1.0, None), "CTR")

    # the prior is Beta(1, 1 / 401)
    assert min(value for line in chart.series for value in line.low or [] if value is not None) > 0.96


def test_charts__rates_changed__are_marked_on_each_page(client: Client) -> None:
    experiment = make_experiment(min_impressions=0)
    for age in range(60, 0, -1):
        day, rates = TODAY - dt.timedelta(days=age), (100, 200) if age > 20 else (200, 100)
        record(experiment, counts("a", 4000, rates[0], date=day), counts("b", 4000, rates[1], date=day))
    assert allocate(experiment).rates_changed_on == TODAY - dt.timedelta(days=20)

    marked = [_page(client, experiment, tab).count(json.dumps("rates changed")) for tab in ("", "explore/")]

    # the one decision date has no room for a mark of an earlier day; lift, rates, impressions and clicks have
    assert marked == [0, 4]


@pytest.mark.parametrize(("days", "is_said"), [(5, False), (40, True)])
def test_overview__counts_that_vary__are_explained_once_that_is_sure(
    client: Client, days: int, is_said: bool
) -> None:
    experiment = make_experiment()
    for age in range(days, 0, -1):
        day, clicks = TODAY - dt.timedelta(days=age), (100, 160) if age % 2 else (160, 100)
        record(experiment, counts("a", 2000, clicks[0], date=day), counts("b", 2000, clicks[1], date=day))
    assert (allocate(experiment).dispersion or 1) > 1.5

    assert ("Counts vary more than chance" in _page(client, experiment, "")) == is_said
    assert "(dispersion)" in _page(client, experiment, "explore/")
