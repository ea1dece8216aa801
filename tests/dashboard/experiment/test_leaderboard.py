"""The leaderboard of Results: its order, its shares, and what many variants or a single one do to it."""

import datetime as dt
import re

import pytest
from django.test import Client

from dashboard.experiment.results.leaderboard import Leaderboard
from tests.dashboard.experiment.test_results import add_days, context, make_decided
from tests.factory import TODAY, allocate, counts, make_experiment, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]

DAY = dt.timedelta(days=1)


def test_leaderboard__judged_first_by_rank__then_those_without_enough_data(client: Client) -> None:
    experiment = make_experiment()
    add_days(experiment, 20)
    record(experiment, counts("new", 10, 1, date=TODAY - DAY))
    allocate(experiment)

    response = client.get(f"/dashboard/experiments/{experiment.key}/")
    board: Leaderboard = response.context["leaderboard"]

    assert [(row.variant.name, row.rank) for row in board.rows] == [("b", 1), ("control", 2), ("new", None)]
    assert board.rows[2].forest is None
    assert b"Not enough data" in response.content
    # the interval of b lies right of 0, on an axis that holds both
    forest = board.rows[0].forest
    assert forest is not None
    assert float(forest.zero[:-1]) < float(forest.low[:-1]) < float(forest.point[:-1])
    assert forest.tone == "better"


def test_leaderboard__all_lifts_0__shows_the_ends_of_the_narrowest_interval(client: Client) -> None:
    experiment = make_experiment()
    for age in range(20, 0, -1):
        many, few = 1_000, 100
        sizes = {"control": many, "b": many, "c": few}
        rows = [counts(name, n, n // 10, date=TODAY - age * DAY) for name, n in sizes.items()]
        record(experiment, *rows)
    allocate(experiment)

    board: Leaderboard = context(client, experiment)["leaderboard"]
    cut = {row.variant.name: (row.forest.cut_low, row.forest.cut_high) for row in board.rows if row.forest}

    assert (cut["b"], cut["c"]) == ((False, False), (True, True))


def test_leaderboard__shares__print_to_one_hundred_and_name_their_limit(client: Client) -> None:
    experiment = make_decided(max_daily_shift=0.2)

    rows = {row.variant.name: row for row in context(client, experiment)["leaderboard"].rows}

    assert {name: row.share for name, row in rows.items()} == {"b": "70.0%", "control": "30.0%"}
    assert {name: row.limit for name, row in rows.items()} == {
        "b": "Maximum daily increase",
        "control": "Maximum daily decrease",
    }


def test_leaderboard__warm_up__is_what_limits_the_shares(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 50, 2), counts("b", 50, 3))
    allocate(experiment)

    assert {row.limit for row in context(client, experiment)["leaderboard"].rows} == {"Warm-up: even split"}


def test_leaderboard__a_hundred_variants__folds_all_but_ten(client: Client) -> None:
    experiment = make_experiment()
    rows = [counts(f"v{n:03}", 1000, 50 + n // 2, date=TODAY - DAY) for n in range(100)]
    record(experiment, *rows)
    allocate(experiment)

    response = client.get(f"/dashboard/experiments/{experiment.key}/")

    board = response.context["leaderboard"]
    assert (len(board.rows), len(board.folded), board.condensed) == (10, 90, True)
    assert [len(chart.series) for chart in response.context["charts"]] == [6, 1]
    assert response.context["charts"][0].series[-1].name == "95 others"
    assert len(response.content) < 400_000


def test_leaderboard__a_hundred_variants__a_link_leads_to_all_of_them(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, *[counts(f"v{n:03}", 1000, 50 + n // 2, date=TODAY - DAY) for n in range(100)])
    allocate(experiment)

    def page(query: str) -> str:
        return client.get(f"/dashboard/experiments/{experiment.key}/{query}").content.decode()

    some, whole = page(""), page("?variants=all")
    assert re.search(r'href="\?variants=all#leaderboard-title">\s*90 more variants', some)
    assert (some.count('class="cell-name"'), whole.count('class="cell-name"')) == (10, 100)
    assert "more variants" not in whole


def test_leaderboard__single_variant__is_not_called_the_best(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 5000, 250, date=TODAY - DAY))
    allocate(experiment)

    html = client.get(f"/dashboard/experiments/{experiment.key}/").content.decode()

    assert "One variant only" in html
    # no cost of waiting, and no unit of none
    assert html.count("Nothing to compare it with") == 2
    assert "at the current traffic split" not in html
    assert "99.9%" not in html.split('id="leaderboard-title"')[1].split("</section>")[0]


def test_leaderboard__data_before_the_window__names_the_days_that_count(client: Client) -> None:
    experiment = make_experiment(window_days=10)
    add_days(experiment, 20)
    allocate(experiment)

    for address in ("", "report/"):
        html = client.get(f"/dashboard/experiments/{experiment.key}/{address}").content.decode()
        # the ten days up to yesterday
        assert "Data from 22 Aug 2025 to 31 Aug 2025." in html


def test_leaderboard__window_longer_than_the_data__begins_with_them(client: Client) -> None:
    html = client.get(f"/dashboard/experiments/{make_decided().key}/").content.decode()

    assert "Data from 12 Aug 2025 to 31 Aug 2025." in html
