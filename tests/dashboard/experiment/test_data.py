"""The data tab: its days, what may be changed and by whom, and its downloads."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client

from experiments.models import Experiment, Status, Variant
from experiments.services import archive_experiment, change_status
from tests.dashboard.clients import client_of
from tests.dashboard.experiment.data_pages import (
    DATA,
    DAY,
    EDIT,
    HEADER,
    UPLOAD,
    day_sent,
    file_sent,
    stored_rows,
)
from tests.factory import NOW, TODAY, allocate, counts, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


@pytest.fixture
def analyst() -> Client:
    return client_of("analyst")


def test_data__days__newest_first_with_the_rate_of_the_reward(analyst: Client) -> None:
    experiment = make_running(reward="conversion_rate")
    record(experiment, counts("control", 1000, 100, 25, date=dt.date(2025, 8, 30)))

    days = analyst.get(DATA).context["days"]

    shown = [(day.date.day, [(line.variant.name, line.rate) for line in day.lines]) for day in days]
    assert shown == [(1, [("control", 0.0), ("variant_b", 0.0)]), (30, [("control", 0.025)])]


def test_data__many_days__come_in_pages(analyst: Client) -> None:
    experiment = make_running()
    record(experiment, *(counts("control", 9, 1, date=TODAY - dt.timedelta(days=n)) for n in range(30)))

    last = analyst.get(f"{DATA}?page=3")

    assert [day.date for day in last.context["days"]] == [TODAY - dt.timedelta(days=n) for n in (28, 29)]
    assert f"{DAY}?date=2025-08-03&amp;page=3#day-2025-08-03" in last.content.decode()


def test_download__and_back__changes_nothing(analyst: Client) -> None:
    experiment = make_running()
    record(experiment, counts("=1+1", 7, 3))
    response = analyst.get(f"{DATA}daily-metrics.csv")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]  # streamed

    shown = analyst.post(UPLOAD, file_sent(text), follow=True)

    assert "'=1+1" in text
    assert dict(shown.context["preview"].tally) == {"same": 3}


def test_template__of_the_experiment__names_its_active_variants(analyst: Client) -> None:
    experiment = make_running()
    Variant.objects.filter(name="variant_b").update(is_active=False)

    response = analyst.get(f"{DATA}template.csv")

    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]  # streamed
    assert text.splitlines() == [HEADER.strip(), f"{experiment.key},2025-09-01,control,,,"]


@pytest.mark.parametrize("state", ["draft", "completed", "archived"])
def test_data__closed__says_why_and_refuses(analyst: Client, state: str) -> None:
    experiment = make_running()
    if state == "archived":
        change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)
        archive_experiment(experiment_id=experiment.pk, now=NOW)
    else:
        Experiment.objects.update(status=state)
    before = stored_rows()

    page = analyst.get(DATA).content.decode()
    posted = analyst.post(EDIT, day_sent(control=(1, 1, 1)), follow=True).content.decode()

    said = {
        "draft": "This experiment is a draft.",
        "archived": "Archived. Restore it to make changes.",
        "completed": "Ended: data, variants and settings are locked.",
    }[state]
    assert said in page
    assert DAY not in page
    assert said in posted
    assert stored_rows() == before


@pytest.mark.parametrize("path", ["day/", "day/?date=2025-09-01", "upload/", "upload/x/"])
def test_data__viewer__looks_and_is_refused_to_change(path: str) -> None:
    make_running()
    viewer = client_of("viewer")

    page = viewer.get(DATA).content.decode()

    assert "daily-metrics.csv" in page
    # the forms of every page, the language and logging out, and the filter
    assert (DAY in page, UPLOAD in page, page.count("<form")) == (False, False, 3)
    assert viewer.get(f"{DATA}{path}").status_code == 403
    assert viewer.post(f"{DATA}{path}").status_code == 403


@pytest.mark.parametrize("path", ["", "day/", "day/?date=2025-09-01", "upload/"])
def test_data__page__at_most_12_queries(
    analyst: Client, path: str, django_assert_max_num_queries: Any
) -> None:
    experiment = make_running()
    allocate(experiment)
    record(experiment, *(counts("control", 9, 1, date=TODAY - dt.timedelta(days=n)) for n in range(1, 30)))

    with django_assert_max_num_queries(12):
        assert analyst.get(f"{DATA}{path}").status_code == 200


@pytest.mark.parametrize("path", ["day/?date=2025-09-01", "upload/"])
def test_data__without_its_token__is_refused(path: str) -> None:
    make_running()

    assert Client(enforce_csrf_checks=True).post(f"{DATA}{path}", {}).status_code == 403
