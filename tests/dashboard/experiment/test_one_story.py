"""One story of numbers: list, Results, Explore, report, API and files say the same of an experiment."""

import csv
import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from allocation.services import complete_experiment
from dashboard.formatting import format_lift, format_lifts
from experiments.metrics import Reward
from experiments.models import Experiment, Status
from experiments.services import change_status
from tests.allocation.test_values import make_shop
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, record, shares_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]

DAY = dt.timedelta(days=1)


def _daily(
    rates: dict[str, float], days: int = 20, daily: int = 1000, **settings: Any
) -> Callable[[], Experiment]:
    """Make one whose traffic follows each split from the next day on."""

    def make() -> Experiment:
        experiment = make_experiment("Story", **settings)
        visits = dict.fromkeys(rates, daily)
        for age in range(days, 0, -1):
            date = TODAY - age * DAY
            rows = [
                counts(n, visits[n], round(visits[n] * r), round(visits[n] * r / 5), date)
                for n, r in rates.items()
            ]
            record(experiment, *rows)
            if age < days and age % 4 == 0:
                split = shares_of(allocate(experiment, date))
                visits = {name: round(daily * len(split) * share) for name, share in split.items()}
        allocate(experiment)
        return experiment

    return make


def _shop() -> Experiment:
    experiment = make_shop(currency="EUR")
    allocate(experiment)
    return experiment


def _paused() -> Experiment:
    experiment = _daily({"a": 0.1, "b": 0.12})()
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)
    return experiment


def _completed() -> Experiment:
    experiment = _daily({"a": 0.1, "b": 0.12})()
    winner = experiment.variants.get(name="b")
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=winner.pk)
    return experiment


def _completed_with_newer_data() -> Experiment:
    """The last day came after the last decision, split as it said: the end is the first to know it."""
    experiment = _daily({"a": 0.1, "b": 0.12})()
    visits = {name: round(2000 * share) for name, share in shares_of(allocate(experiment)).items()}
    record(experiment, counts("a", visits["a"], visits["a"] // 8), counts("b", visits["b"], visits["b"] // 9))
    winner = experiment.variants.get(name="b")
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=winner.pk)
    return experiment


def _newcomer() -> Experiment:
    experiment = _daily({"a": 0.1, "b": 0.12})()
    record(experiment, counts("new", 10, 1, date=TODAY - DAY))
    allocate(experiment)
    return experiment


STORIES: dict[str, Callable[[], Experiment]] = {
    "clear": _daily({"a": 0.1, "b": 0.13}),
    "close": _daily({"a": 0.1, "b": 0.101, "c": 0.102}),
    "the control leads": _daily({"a": 0.13, "b": 0.1}),
    "tiny rates": _daily({"a": 0.00011, "b": 0.00014}, daily=1_000_000),
    "short window": _daily({"a": 0.1, "b": 0.12}, days=30, window_days=14),
    "orders": _daily({"a": 0.1, "b": 0.12}, reward=Reward.CONVERSION_RATE),
    "value": _shop,
    "paused": _paused,
    "completed": _completed,
    "completed with newer data": _completed_with_newer_data,
    "a newcomer": _newcomer,
}


@pytest.mark.parametrize("story", STORIES)
def test_numbers__of_one_experiment__are_the_same_everywhere(client: Client, story: str) -> None:
    experiment = STORIES[story]()
    url = f"/dashboard/experiments/{experiment.key}/"
    results = client.get(url)
    api = json.loads(APIClient().get(f"/api/v1/experiments/{experiment.key}/statistics/").content)
    lines = {line["variant_key"]: line for line in csv.DictReader(_text(client, f"{url}statistics.csv"))}
    explore = {v.key: row for v, _colour, row in client.get(f"{url}explore/").context["rows"]}
    report = client.get(f"{url}report/").context["leaderboard"].rows[0].found
    (listed,) = client.get("/dashboard/").context["rows"]
    (line,) = csv.DictReader(_text(client, "/dashboard/experiments.csv"))

    leader = results.context["leaderboard"].rows[0]
    key, found = leader.variant.key, leader.found
    (answered,) = [variant for variant in api["variants"] if variant["variant_key"] == key]
    names = ("rate", "probability_best", "uplift", "uplift_low", "uplift_high")

    mine = {name: getattr(found, name) for name in names}
    assert {name: answered[name] for name in names} == pytest.approx(mine)
    assert {name: getattr(explore[key], name) for name in names} == pytest.approx(mine)
    assert {name: float(lines[key][name]) if lines[key][name] else None for name in names} == pytest.approx(
        mine
    )
    assert {name: getattr(report, name) for name in names} == pytest.approx(mine)
    assert (listed.summary.leader.variant.key, line["leader"]) == (key, key)
    assert float(line["lift"] or 0) == pytest.approx(found.uplift or 0)
    assert listed.summary.leader.probability_best == pytest.approx(found.probability_best, abs=1e-9)
    lift = None if found.uplift is None else (found.uplift, found.uplift_low, found.uplift_high)
    assert listed.lift == (None if lift is None else pytest.approx(lift))
    rewards = results.context["statistics"].rewards
    assert api["rewards"]["gained_over_even"] == pytest.approx(rewards.gained_over_even)
    gain = listed.summary.gain
    assert (gain.value, gain.low, gain.high) == pytest.approx(
        (rewards.gained_over_even, rewards.gained_low, rewards.gained_high)
    )
    if found.uplift is not None:
        low, high = format_lifts(found.uplift_low, found.uplift_high)
        page = results.content.decode()
        assert f"<strong>{format_lift(found.uplift)}</strong><small>{low} to {high}</small>" in page


def _text(client: Client, url: str) -> list[str]:
    return client.get(url).getvalue().decode().splitlines()
