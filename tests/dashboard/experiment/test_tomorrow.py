"""Days of tomorrow, which clients of time zones ahead send: every page says that they count from tomorrow on."""

import datetime as dt
import re

import pytest
from django.test import Client

from experiments.models import DailyMetric, Experiment
from tests.dashboard.clients import client_of
from tests.factory import TODAY, allocate, counts, make_experiment, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

TOMORROW = TODAY + dt.timedelta(days=1)


@pytest.fixture
def analyst() -> Client:
    return client_of("analyst")


def words(client: Client, path: str) -> str:
    response = client.get(f"/dashboard/{path}")
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).split())


def make_ahead(*days: dt.date) -> Experiment:
    experiment = make_experiment()
    for date in (*days, TOMORROW):
        record(experiment, counts("control", 5000, 500, date=date), counts("b", 5000, 600, date=date))
    return experiment


@pytest.mark.parametrize("is_decided", [False, True])
def test_pages__data_of_tomorrow_alone__say_that_it_counts_from_then_on(
    analyst: Client, is_decided: bool
) -> None:
    experiment = make_ahead()
    if is_decided:
        allocate(experiment)

    paths = (at(experiment), at(experiment) + "explore/", at(experiment) + "data/", "")
    results, explored, data, listed = (words(analyst, path) for path in paths)

    assert "Data counts from tomorrow on: the first day is 2 Sep 2025." in results
    assert "Data counts from tomorrow on" in explored
    assert "No data yet" not in results + explored
    assert "Data up to – Counts from tomorrow on 2 Sep 2025" in data
    assert "10,000 impressions counts from tomorrow on" in data
    assert "Data counts from tomorrow on" in listed
    assert "10,000 impressions" not in listed


def test_pages__data_of_today_and_tomorrow__name_one_last_day(analyst: Client) -> None:
    experiment = make_ahead(TODAY)

    results, data, listed = (words(analyst, path) for path in (at(experiment), at(experiment) + "data/", ""))

    assert "Data up to 1 Sep 2025 10,000 impressions 1 day" in results
    assert "Data up to 1 Sep 2025 Counts from tomorrow on 2 Sep 2025" in data
    assert "10,000 impressions counted from the next allocation on" in listed


def test_day__new_one_of_tomorrow__is_refused_by_the_form(analyst: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 100, 10), counts("b", 100, 10))
    url = f"/dashboard/{at(experiment)}data/day/"
    form = analyst.get(url).context["form"]
    typed = {name: "5" for name in form.fields if name not in {"date", "seen"}}

    response = analyst.post(url, {**typed, "seen": "{}", "date": TOMORROW.isoformat()})

    assert response.context["form"].errors == {"date": ["2 Sep 2025 lies in the future; today is 1 Sep 2025"]}
    assert not DailyMetric.objects.filter(date=TOMORROW).exists()


def test_day__of_tomorrow_that_a_program_sent__can_be_corrected(analyst: Client) -> None:
    experiment = make_ahead()
    url = f"/dashboard/{at(experiment)}data/day/?date={TOMORROW}"
    form = analyst.get(url).context["form"]
    sent = {name: form[name].value() for name in form.fields}
    sent = {name: "" if value is None else str(value) for name, value in sent.items()}
    field = next(name for name in sent if name.startswith("clicks-"))

    response = analyst.post(url, {**sent, field: "7"})

    assert response.status_code == 302
    assert DailyMetric.objects.filter(clicks=7).count() == 1


def at(experiment: Experiment) -> str:
    return f"experiments/{experiment.key}/"
