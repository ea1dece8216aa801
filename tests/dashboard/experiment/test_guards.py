"""Pages of an experiment with guards, other metrics and notes."""

import datetime as dt

import pytest
from django.test import Client

from allocation.models import Kind
from dashboard.charts import Chart, Mark, Series
from dashboard.experiment.notes import with_notes
from experiments.campaign.models import GuardAction, Note
from experiments.campaign.watch import add_note
from experiments.models import Experiment, Status
from tests.allocation.test_guards import DAY, make_guarded
from tests.factory import NOW, TODAY, allocate, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]


def page(client: Client, experiment: Experiment, tab: str = "") -> str:
    return client.get(f"/dashboard/experiments/{experiment.key}/{tab}").content.decode()


def test_overview__stopped_by_a_guard__tells_why_and_offers_to_resume(client: Client) -> None:
    experiment = make_guarded()
    allocate(experiment)

    html = page(client, experiment)

    assert "Stopped by a guard: the control gets all traffic until a person resumes." in html
    assert "Guard: Conversions per impression" in html
    assert "b is more than 5% below the control." in html
    assert f"/dashboard/experiments/{experiment.key}/resume-after-guard/" in html
    assert "a guard: the control gets all traffic" in html


def test_overview__a_guard_warns__alerts_and_goes_on(client: Client) -> None:
    experiment = make_guarded(GuardAction.TELL)
    allocate(experiment)

    html = page(client, experiment)

    assert "Nothing counts as decided while this holds." in html
    assert "resume-after-guard" not in html


def test_overview__paused__shows_no_harm(client: Client) -> None:
    experiment = make_guarded(GuardAction.TELL)
    allocate(experiment)
    Experiment.objects.update(status=Status.PAUSED)

    assert "Guard: Conversions per impression" not in page(client, experiment)


def test_resume_after_guard__button__splits_again(client: Client) -> None:
    experiment = make_guarded()
    allocate(experiment, TODAY - DAY)

    response = client.post(f"/dashboard/experiments/{experiment.key}/resume-after-guard/", follow=True)

    assert "Resumed: traffic is split again" in response.content.decode()
    assert experiment.allocations.in_force_on(TODAY)[0].kind == Kind.OPTIMIZED
    assert "Resumed after a guard had stopped it" in page(client, experiment, "history/")


def test_performance__other_metrics__have_a_table_each_with_their_guard(client: Client) -> None:
    html = page(client, make_guarded(), "explore/")

    assert "Guard: at most 5% below the control, else the control gets all traffic" in html
    assert "Conversions per click" in html
    assert "-50.0%" in html or "−50.0%" in html


def test_performance__notes__are_listed_and_marked(client: Client) -> None:
    experiment = make_running()
    add_note(experiment_id=experiment.pk, date=TODAY, text="Sale <begins>", now=NOW)

    html = page(client, experiment, "explore/")

    assert "Sale &lt;begins&gt;" in html
    assert '"label": "Sale \\u003Cbegins\\u003E"' in html


def test_with_notes__charts_of_days__are_marked_within_their_days_alone() -> None:
    days = [TODAY - DAY, TODAY]
    chart = Chart(id="c", title="", y_title="", x=days, series=[Series("a", "variant-1", [1, 2])])
    names = Chart(id="n", title="", y_title="", x=["a"], series=[])
    notes = [
        Note(date=TODAY, text="Second of that day, which goes on"),
        Note(date=TODAY, text="First"),
        Note(date=TODAY - dt.timedelta(days=2), text="Too early"),
    ]

    marked, unmarked = with_notes([chart, names], notes)

    assert marked.marks == [Mark("x", TODAY.isoformat(), "First; Second of …")]
    assert unmarked.marks == []


def test_overview__stopped_by_a_guard__names_no_leader_and_suggests_the_control(client: Client) -> None:
    experiment = make_guarded()
    allocate(experiment)

    html = page(client, experiment)

    assert "Leader found" not in html
    control = experiment.variants.get(name="control")
    chosen = html.split('name="winner"')[1].split(">")[0]
    assert f'value="{control.pk}"' in chosen
    assert "checked" in chosen
