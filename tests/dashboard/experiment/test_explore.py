"""The explore tab: one metric over one span."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client

from allocation.statistics.experiment import analyse
from allocation.statistics.over_time import LiftOn, some_dates
from dashboard.experiment.explore.charts import axis_of_lifts
from dashboard.experiment.summary import experiment_or_404
from experiments.models import Experiment
from tests.dashboard.experiment.test_results import DAY, add_days, make_decided
from tests.factory import TODAY, allocate, counts, make_experiment, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]


def context(client: Client, experiment: Experiment, query: str = "") -> Any:
    response = client.get(f"/dashboard/experiments/{experiment.key}/explore/{query}")
    assert response.status_code == 200
    return response.context


def row_of(found: Any, name: str) -> Any:
    return next(row for variant, _colour, row in found["rows"] if variant.name == name)


def test_range__latest_days__alone_are_counted(client: Client) -> None:
    experiment = make_experiment(min_impressions=0)
    add_days(experiment, 20, skip=20, b=(90, 18))
    add_days(experiment, 20, b=(130, 26))
    allocate(experiment)

    latest = context(client, experiment, "?range=14")

    assert (latest["start"], latest["end"]) == (TODAY - 14 * DAY, TODAY - DAY)
    assert row_of(latest, "b").trials == 14_000
    assert row_of(latest, "b").uplift == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("query", ["?range=13", "?range=x", "?metric=bogus", "?variant=none", "?from=x&to=y"])
def test_query__nonsense__is_as_the_first_visit(client: Client, query: str) -> None:
    experiment = make_decided()

    assert row_of(context(client, experiment, query), "b") == row_of(context(client, experiment), "b")


def test_metric__another__has_its_own_rates_and_lift(client: Client) -> None:
    experiment = make_decided()

    found = context(client, experiment, "?metric=conversion_rate")

    row = row_of(found, "b")
    # 26 conversions beside 20, of 1,000 each day
    assert row.rate == pytest.approx(0.026, rel=0.02)
    assert row.uplift == pytest.approx(0.3, abs=0.03)
    assert [metric.value for metric in found["options"].metrics] == [
        "ctr",
        "conversion_rate",
        "click_conversion_rate",
    ]
    assert found["charts"][1].y_title == "Conversion rate"


def test_lift_over_time__last_point__is_the_lift_of_the_table(client: Client) -> None:
    experiment = make_decided()

    found = context(client, experiment)

    row, lift = row_of(found, "b"), found["charts"][0].series[0]
    assert lift.values[-1] == pytest.approx(row.uplift)
    assert (lift.low[-1], lift.high[-1]) == (pytest.approx(row.uplift_low), pytest.approx(row.uplift_high))
    always = row.uplift_always_valid
    assert [series.values[-1] for series in found["charts"][0].series[1:]] == [
        pytest.approx(always.high),
        pytest.approx(always.low),
    ]
    # an interval that may be looked at every day is the wider one
    assert always.low < row.uplift_low < row.uplift_high < always.high


@pytest.mark.parametrize(
    ("first", "settled", "ends"),
    [
        # 0.3 with a tenth of room is 0.33, to the next 0.05
        pytest.param((-0.4, 0.8), (0.1, 0.3), (-0.05, 0.35), id="the first days reach below 0"),
        pytest.param((0.05, 0.8), (0.1, 0.3), (0, 0.35), id="all above 0"),
        pytest.param((-0.8, 0.4), (-0.3, -0.1), (-0.35, 0.05), id="the first days reach above 0"),
        pytest.param((-0.4, 0.8), (-0.01, 0.3), (-0.05, 0.35), id="ends a little below 0"),
        pytest.param((-1.0, 40.0), (-0.95, 30.0), (-1, 10), id="nothing loses more than all"),
        pytest.param((None, None), (None, None), (None, None), id="nothing judged"),
    ],
)
def test_axis_of_lifts__wide_first_intervals__shows_on_which_side_of_0_they_end(
    first: tuple[float, float], settled: tuple[float, float], ends: tuple[float | None, float | None]
) -> None:
    lifts = [LiftOn(TODAY, None, low, high, None, None) for low, high in (first, settled, settled, settled)]

    assert list(axis_of_lifts(lifts)) == pytest.approx(list(ends))


def test_rates__above_sixty_days__are_folded_to_weeks(client: Client) -> None:
    experiment = make_experiment()
    add_days(experiment, 61)

    chart = context(client, experiment)["charts"][1]

    assert chart.title == "Weekly rate"
    assert {day.weekday() for day in chart.x} == {0}
    assert chart.series[1].values[1] == pytest.approx(0.13)


def test_weekdays__shade__follows_the_rate(client: Client) -> None:
    experiment = make_experiment()
    for age in range(28, 0, -1):
        date = TODAY - dt.timedelta(days=age)
        clicks = 200 if date.weekday() >= 5 else 100
        record(experiment, counts("control", 1000, clicks, date=date), counts("b", 1000, clicks, date=date))

    table = context(client, experiment)["weekdays"]

    assert table.days == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    assert [cell.shade for cell in table.rows[0].cells] == [0, 0, 0, 0, 0, 5, 5]
    assert [cell.rate for cell in table.rows[0].cells][4:6] == [0.1, 0.2]


def test_funnel__each_step__is_a_part_of_the_one_before(client: Client) -> None:
    rows = {row.line.name: row for row in context(client, make_decided())["funnel"]}

    b = rows["b"]
    assert (b.impressions, b.clicks, b.conversions) == (20_000, 2600, 520)
    assert (b.click_rate, b.click_conversion, b.conversion_rate) == (0.13, 0.2, 0.026)


def test_two_dates__compared__show_what_was_known_by_each(client: Client) -> None:
    experiment = make_decided()
    first, second = TODAY - 12 * DAY, TODAY - DAY

    found = context(client, experiment, f"?from={first}&to={second}")["compared"]

    b = next(row for row in found if row.line.name == "b")
    assert (b.first.date, b.second.date) == (first, second)
    assert b.second.low > b.first.low
    assert b.first_share is None
    assert context(client, experiment)["compared"] == []


def test_one_day__charts__have_their_points(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 3000, 150), counts("b", 3000, 180))

    found = context(client, experiment)

    assert not any(chart.is_empty for chart in (*found["charts"], *found["count_charts"]))


def test_files__of_charts__bear_names_of_their_own(client: Client) -> None:
    found = context(client, make_decided())

    files = [chart.data()["file"] for chart in (*found["charts"], *found["count_charts"])]
    assert len(set(files)) == len(files)
    assert all(name.startswith("button-colour-") for name in files)


@pytest.mark.parametrize(("variants", "points"), [(3, 7), (51, 3)])
def test_some_dates__many_variants__are_fewer(variants: int, points: int) -> None:
    experiment = make_experiment()
    for day in range(10):
        rows = [counts(f"v{n}", 100, 5, date=TODAY - dt.timedelta(days=day)) for n in range(variants)]
        record(experiment, *rows)
    analysis = analyse(experiment_or_404(experiment.key, TODAY), TODAY)

    assert len(some_dates(analysis.inputs)) == points
