"""Costs of a page of an experiment: at most twelve queries and 400 KB."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client

from experiments.campaign.watch import add_guard, add_note
from experiments.models import Experiment
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]

DAY = dt.timedelta(days=1)
MOST_BYTES = 400 * 1024


def make_watched(variants: int, days: int) -> Experiment:
    """Every page has everything to read: guards, notes, a log, other metrics."""
    experiment = make_experiment("Watched")
    for age in range(days, 0, -1):
        date = TODAY - age * DAY
        record(experiment, *[counts(f"variant {n}", 1000, 50 + n, 10, date) for n in range(variants)])
        allocate(experiment, date + DAY)
    add_guard(experiment_id=experiment.pk, metric="conversion_rate", max_fall=90, action="tell", now=NOW)
    add_note(experiment_id=experiment.pk, date=TODAY - DAY, text="A campaign began", now=NOW)
    return experiment


@pytest.mark.parametrize(
    "tab", ["", "explore/", "explore/?range=14&metric=conversion_rate", "traffic/", "report/"]
)
def test_tab__with_everything_to_read__takes_twelve_queries_at_most(
    client: Client, django_assert_max_num_queries: Any, tab: str
) -> None:
    experiment = make_watched(3, 3)
    url = f"/dashboard/experiments/{experiment.key}/{tab}"
    client.get(url)

    with django_assert_max_num_queries(12):
        assert client.get(url).status_code == 200


@pytest.mark.database_free
def test_tabs__a_hundred_variants__stay_below_400_kilobytes(client: Client) -> None:
    home = f"/dashboard/experiments/{make_watched(100, 22).key}/"

    sizes = {tab: len(client.get(f"{home}{tab}").content) for tab in ("", "explore/", "traffic/")}

    assert {tab: size for tab, size in sizes.items() if size >= MOST_BYTES} == {}
