"""The list's column of results: what each test came to, or has so far."""

import datetime as dt
import re

import pytest
from django.test import Client

from allocation.services import complete_experiment
from experiments.models import Experiment, Status
from experiments.services import change_status
from experiments.variants import change_variant
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]


def _result(client: Client) -> str:
    cell = (
        client.get("/dashboard/").content.decode().partition('class="list-result">')[2].partition("</td>")[0]
    )
    return " ".join(re.sub(r"<[^>]*>", " ", cell).split())


def _make_level(days: int = 20, daily: int = 1000) -> Experiment:
    experiment = make_experiment()
    for age in range(days, 0, -1):
        date = TODAY - dt.timedelta(days=age)
        record(experiment, *(counts(name, daily, daily // 10, date=date) for name in ("control", "b", "c")))
    allocate(experiment)
    return experiment


def test_result__variants_all_alike__names_none_of_them(client: Client) -> None:
    _make_level()

    (row,) = client.get("/dashboard/").context["rows"]
    assert (row.ahead, row.is_level) == (None, True)
    assert _result(client) == "All variants are level"
    page = client.get(f"/dashboard/experiments/{row.experiment.key}/").content.decode()
    assert "33.3% each" in page
    assert "is best</dt>" not in page


def test_result__paused_with_one_variant_left__is_level_with_nobody(client: Client) -> None:
    experiment = make_running()
    allocate(experiment)
    running = _result(client)
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)
    rival = experiment.variants.get(name="variant_b")
    change_variant(experiment_id=experiment.pk, variant_id=rival.pk, now=NOW, is_active=False)

    (row,) = client.get("/dashboard/").context["rows"]

    assert not row.is_level
    assert _result(client) == running


@pytest.mark.parametrize(("days", "daily"), [(20, 1000), (2, 50)])
def test_result__ended_without_a_lift__says_what_the_winner_gets_and_no_chance(
    client: Client, days: int, daily: int
) -> None:
    experiment = _make_level(days, daily)
    winner = experiment.variants.get(name="control")
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=winner.pk)

    assert _result(client) == "control gets all traffic"


def test_result__control_that_is_the_best_for_certain__keeps_its_chance(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 10000, 1300), counts("b", 10000, 1000))
    allocate(experiment)
    running = _result(client)
    winner = experiment.variants.get(name="control")
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=winner.pk)

    assert running == _result(client) == "control &gt; 99.9% probability to be best"
