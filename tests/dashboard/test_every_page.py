"""Each page, list and file of experiments in every state, on either database.

What pages say is tested beside this on one database. Here each of their statements runs on both.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoDbBlocker

from dashboard.experiment_list.listing import ATTENTION
from dashboard.experiment_list.stages import Stage
from experiments.metrics import HIGHEST_COUNT, HIGHEST_VALUE, DailyCounts, Reward
from experiments.models import Experiment, Status
from experiments.services import archive_experiment
from tests.committed import committed
from tests.conftest import forget_all
from tests.dashboard.experiment.test_one_story import STORIES
from tests.factory import NOW, TODAY, allocate, make_experiment, make_running, record
from tests.security.access_table import ACCESS
from tests.security.places import make_one_of_each

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]

_PAGES = [
    row.place.removeprefix("dashboard/experiments/{reference}/")
    for row in ACCESS
    if row.method == "GET" and row.place.startswith("dashboard/experiments/{reference}/")
]
_LISTS = ["", "?order=name", "?order=newest", "?order=traffic", "?order=decision", "?q=s", "?tag=shop"]


def _watched() -> Experiment:
    """Make one with a note, a guard and an alarm."""
    experiment = STORIES["clear"]()
    make_one_of_each(experiment)
    return experiment


def _archived() -> Experiment:
    experiment = STORIES["completed"]()
    archive_experiment(experiment_id=experiment.pk, now=NOW)
    return experiment


def _of_largest_numbers() -> Experiment:
    experiment = make_experiment("Story", reward=Reward.VALUE_PER_IMPRESSION)
    most = (HIGHEST_COUNT, HIGHEST_COUNT, 2, HIGHEST_VALUE, float(HIGHEST_VALUE) ** 2)
    for date in (TODAY - dt.timedelta(days=1), TODAY):
        record(experiment, *(DailyCounts(date, name, *most) for name in ("control", "variant_b")))
    allocate(experiment)
    return experiment


STATES: dict[str, Callable[[], Experiment]] = {
    "draft": lambda: make_experiment("Story", status=Status.DRAFT),
    "without data": lambda: make_experiment("Story"),
    "watched": _watched,
    "archived": _archived,
    "value": STORIES["value"],
    "completed": STORIES["completed"],
    "of the largest numbers": _of_largest_numbers,
}


@pytest.mark.parametrize("state", STATES)
def test_pages__of_an_experiment_in_each_state__open(client: Client, state: str) -> None:
    experiment = STATES[state]()
    one = f"/dashboard/experiments/{experiment.key}/"
    explored = [f"explore/?metric={metric}&range=7" for metric in ("ctr", "conversion_rate", "value")]

    found = {path: _status(client, one + path) for path in (*_PAGES, *explored) if "{" not in path}

    empty = {"statistics.csv"} if state in ("draft", "without data") else set()
    assert {path for path, status in found.items() if status == 404} == empty
    assert set(found.values()) <= {200, 301, 302, 404}


@pytest.fixture(scope="module")
def some_of_a_list(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Experiments in three states, made once for all stages."""
    forget_all()
    with django_db_blocker.unblock(), committed():
        with pytest.MonkeyPatch.context() as clock:
            clock.setattr("django.utils.timezone.now", lambda: NOW)
            for state in ("draft", "watched", "completed"):
                STATES[state]()
        yield


@pytest.mark.usefixtures("some_of_a_list")
@pytest.mark.parametrize("stage", ["", ATTENTION, *Stage.values])
def test_lists__of_experiments_in_each_state__open(client: Client, stage: str) -> None:
    for query in _LISTS:
        query = f"{query or '?'}&stage={stage}"
        assert _status(client, f"/dashboard/{query}") == 200, query
        assert _status(client, f"/dashboard/experiments.csv{query}") == 200, query


def test_title__each_tab__has_its_own(client: Client) -> None:
    make_running()
    tabs = ("", "explore/", "traffic/", "data/", "settings/", "history/")

    pages = [client.get(f"/dashboard/experiments/button-colour/{tab}").content.decode() for tab in tabs]

    assert len({page.split("<title>")[1].split("</title>")[0] for page in pages}) == len(tabs)


def _status(client: Client, path: str) -> int:
    """The status of an answer that has come to its end."""
    answer: Any = client.get(path)
    for _block in answer if answer.streaming else ():
        pass
    return int(answer.status_code)
