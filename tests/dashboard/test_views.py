import datetime as dt
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from allocation.services import complete_experiment
from dashboard.charts import split_bar, variant_colours
from experiments.models import Experiment, Status
from experiments.services import create_experiment
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]


def _complete(experiment: Experiment) -> None:
    winner = experiment.variants.get(name="variant_b")
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=winner.pk)


def test_split_bar__shares__lie_side_by_side_with_the_control_neutral() -> None:
    experiment = make_experiment()
    record(experiment, counts("b", 1000, 10), counts("control", 1000, 10), counts("c", 1000, 10))

    shares = allocate(experiment).shares.select_related("variant").order_by("variant_id")
    parts = split_bar(shares, variant_colours(experiment.variants.all()))

    assert [part.colour for part in parts] == ["variant-1", "variant-control", "variant-2"]
    assert [float(part.start) for part in parts] == [0, 0.3334, 0.6667]
    assert sum(part.share for part in parts) == 1


def test_language__switched__pages_change_and_the_api_does_not(client: Client) -> None:
    answer = client.post("/accounts/language/", {"language": "pt-br", "next": "/dashboard/?q=a"})

    assert answer["Location"] == "/dashboard/?q=a"
    assert b'<html lang="pt-br">' in client.get("/dashboard/").content
    assert client.get("/experiments/99").json()["detail"].startswith("There is no experiment '99'. GET ")


def test_language__address_elsewhere__leads_home(client: Client) -> None:
    answer = client.post("/accounts/language/", {"language": "pt-br", "next": "https://example.com/"})

    assert answer["Location"] == "/"


@pytest.mark.parametrize("tab", ["", "explore/", "traffic/", "history/"])
def test_tabs__draft_without_variants__say_that_there_is_nothing_yet(client: Client, tab: str) -> None:
    make_experiment(status=Status.DRAFT)

    response = client.get(f"/dashboard/experiments/button-colour/{tab}")

    assert response.status_code == 200
    assert b"Draft" in response.content


@pytest.mark.parametrize("tab", ["", "explore/", "traffic/", "history/"])
def test_tabs__any_history__at_most_10_queries(
    client: Client, tab: str, django_assert_max_num_queries: Any
) -> None:
    experiment = make_running()
    for day in (2, 1, 0):
        allocate(experiment, TODAY - dt.timedelta(days=day))

    # session, user and preferences come on top where people log in
    with django_assert_max_num_queries(10):
        assert client.get(f"/dashboard/experiments/button-colour/{tab}").status_code == 200


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("performance/", "explore/"),
        ("performance/statistics.csv", "statistics.csv"),
        ("allocation/", "traffic/"),
        ("regret/", ""),
        ("confidence/", "explore/"),
        ("activity/", "history/"),
    ],
)
def test_tab__address_of_earlier_versions__leads_on_for_good(client: Client, old: str, new: str) -> None:
    response = client.get(f"/dashboard/experiments/hero/{old}?a=1")

    assert (response.status_code, response["Location"]) == (301, f"/dashboard/experiments/hero/{new}?a=1")


def test_tab__unknown_experiment__is_404(client: Client) -> None:
    assert client.get("/dashboard/experiments/none/").status_code == 404
    assert client.post("/dashboard/experiments/none/pause/").status_code == 404


def test_complete__with_a_winner__gives_it_all_traffic(client: Client) -> None:
    experiment = make_running()
    winner = experiment.variants.get(name="variant_b")

    client.post(
        "/dashboard/experiments/button-colour/complete/", {"winner": winner.pk, "decision_reason": "Better."}
    )

    experiment.refresh_from_db()
    assert (experiment.status, experiment.winner) == (Status.COMPLETED, winner)


@pytest.mark.parametrize("winner", ["", "x", "999999"])
def test_complete__without_a_winner_of_its_own__changes_nothing(client: Client, winner: str) -> None:
    experiment = make_running()

    client.post(
        "/dashboard/experiments/button-colour/complete/", {"winner": winner, "decision_reason": "Better."}
    )

    experiment.refresh_from_db()
    assert experiment.status == Status.ACTIVE


def test_recompute__twice__tells_that_nothing_has_changed(client: Client) -> None:
    make_running()

    first = client.post("/dashboard/experiments/button-colour/recompute/", follow=True)
    second = client.post("/dashboard/experiments/button-colour/recompute/", follow=True)

    assert b"Allocation updated" in first.content
    assert b"Already up to date." in second.content


def test_recompute__no_data_yet__says_so(client: Client) -> None:
    create_experiment(name="Button colour", variants=["control", "blue"], now=NOW)

    answer = client.post("/dashboard/experiments/button-colour/recompute/", follow=True)

    assert b"There are no data yet: traffic is split evenly." in answer.content


def test_activity__changes__are_reported_with_their_author(client: Client) -> None:
    make_running()
    client.force_login(get_user_model().objects.create_superuser("ann"))
    client.post("/dashboard/experiments/button-colour/pause/")

    entries = client.get("/dashboard/experiments/button-colour/history/").context["entries"]

    titles = [(entry.title, entry.actor) for entry in entries]
    assert ("Paused", "ann") in titles
    assert ("2 variants added", "") in titles


def test_demo__into_an_installation_with_experiments__is_refused(client: Client) -> None:
    make_experiment()

    client.post("/dashboard/load-demo/")

    assert Experiment.objects.count() == 1


def test_statistics_csv__running__holds_a_line_for_each_variant(client: Client) -> None:
    key = make_running("Hero").key

    response = client.get(f"/dashboard/experiments/{key}/statistics.csv")

    lines = response.content.decode().splitlines()
    assert response["Content-Disposition"] == f'attachment; filename="{key}-statistics.csv"'
    assert [line.split(",")[3] for line in lines] == ["variant_key", "control", "variant_b"]


def test_statistics_csv__no_variant__is_not_there_and_not_linked(client: Client) -> None:
    key = make_experiment("Empty").key

    assert client.get(f"/dashboard/experiments/{key}/statistics.csv").status_code == 404
    assert b"statistics.csv" not in client.get(f"/dashboard/experiments/{key}/").content
