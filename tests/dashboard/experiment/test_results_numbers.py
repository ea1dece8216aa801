"""The numbers of the results page: gains, the cost of waiting, and the range of days."""

import pytest
from django.test import Client

from experiments.variants import add_variant
from tests.dashboard.experiment.test_results import DAY, add_days, context, make_decided
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]


def test_results__before_an_allocation_was_in_force__claim_no_gain(client: Client) -> None:
    experiment = make_experiment()
    for age in range(20, 0, -1):
        date = TODAY - age * DAY
        record(experiment, counts("control", 1000, 50, date=date), counts("b", 1000, 60, date=date))
    allocate(experiment)

    response = client.get(f"/dashboard/experiments/{experiment.key}/")

    assert "No day with an uneven split has data yet" in response.content.decode()


def test_results__gain_of_a_fraction__is_0_in_the_chart_as_in_the_number(client: Client) -> None:
    experiment = make_experiment()
    for age in range(14, 0, -1):
        date = TODAY - age * DAY
        record(experiment, counts("control", 1000, 100, date=date), counts("b", 999, 130, date=date))

    found = context(client, experiment)

    assert -0.5 < found["statistics"].rewards.gained_over_even < -0.1
    chart = found["charts"][1].data()
    assert (chart["yMin"], chart["yMax"]) == (-1, 1)
    assert {key: chart["series"][0][key] for key in ("values", "low", "high")} == {
        "values": [0.0], "low": [0.0], "high": [0.0],
    }  # fmt: skip


def test_numbers__a_week_more__costs_what_the_others_would_get(client: Client) -> None:
    experiment = make_decided(max_daily_shift=0.2)

    found = context(client, experiment)["results"]

    # 2,000 visitors a day, 30% of them with the control: 0.3 * 7 * 2,000 * (0.13 - 0.10)
    assert found.waiting_cost == pytest.approx(126, rel=0.02)
    assert (found.days.first, found.days.last, found.days.count) == (TODAY - 20 * DAY, TODAY - DAY, 20)
    assert (found.days.impressions, found.days.missing) == (40_000, [])


def test_numbers__a_week_more_before_the_first_allocation__costs_what_an_even_split_does(
    client: Client,
) -> None:
    experiment = make_experiment()
    add_days(experiment, 14)

    response = client.get(f"/dashboard/experiments/{experiment.key}/")

    # an assignment without a decision is even: 0.5 * 7 * 2,000 * (0.13 - 0.10)
    assert response.context["results"].waiting_cost == pytest.approx(210, rel=0.02)
    assert "clicks, at the even split of before the first allocation" in response.content.decode()


def test_numbers__a_week_more_beside_a_variant_of_unknown_rate__is_not_priced(client: Client) -> None:
    experiment = make_decided()
    add_variant(experiment_id=experiment.pk, name="c", now=NOW)
    without_traffic = context(client, experiment)["results"].waiting_cost

    allocate(experiment)

    assert without_traffic is not None
    assert without_traffic > 50
    assert context(client, experiment)["results"].waiting_cost is None


def test_range__every_day_alike__is_offered_where_it_differs(client: Client) -> None:
    experiment = make_experiment(window_days=14, min_impressions=0)
    add_days(experiment, 14, skip=14, b=(90, 18))
    add_days(experiment, 14, b=(130, 26))
    allocate(experiment)

    window, alike = context(client, experiment), context(client, experiment, "?range=all")

    assert (window["results"].spans_differ, alike["results"].spans_differ) == (True, True)
    leader = [c["leaderboard"].rows[0].found for c in (window, alike)]
    assert [row.trials for row in leader] == [14_000, 28_000]
    assert [round(row.uplift or 0, 2) for row in leader] == [0.3, 0.1]
    assert not context(client, make_decided(name="Other"))["results"].spans_differ
