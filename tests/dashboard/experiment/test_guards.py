"""Pages of an experiment with guards, other metrics and notes."""

import pytest
from django.test import Client

from allocation.models import Kind
from experiments.campaign.models import GuardAction
from experiments.campaign.watch import add_note
from experiments.models import Experiment, Status
from tests.allocation.test_guards import DAY, make_guarded
from tests.factory import NOW, TODAY, allocate, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]


def page(client: Client, experiment: Experiment, tab: str = "") -> str:
    return client.get(f"/dashboard/experiments/{experiment.key}/{tab}").content.decode()


def test_traffic__stopped_by_a_guard__says_so_beside_each_share(client: Client) -> None:
    experiment = make_guarded()
    allocate(experiment)

    assert "Guard: the control gets all traffic" in page(client, experiment, "traffic/")


def test_results__paused__shows_no_harm(client: Client) -> None:
    experiment = make_guarded(GuardAction.TELL)
    allocate(experiment)
    Experiment.objects.update(status=Status.PAUSED)

    assert "Paused. Traffic stays at the last allocation." in page(client, experiment)


def test_resume_after_guard__button__splits_again(client: Client) -> None:
    experiment = make_guarded()
    allocate(experiment, TODAY - DAY)

    response = client.post(f"/dashboard/experiments/{experiment.key}/resume-after-guard/", follow=True)

    assert "Resumed. Traffic follows the results again" in response.content.decode()
    assert experiment.allocations.in_force_on(TODAY)[0].kind == Kind.OPTIMIZED
    assert "Resumed after a guard had stopped it" in page(client, experiment, "history/")


def test_results__other_metrics__are_columns_with_their_guard(client: Client) -> None:
    html = page(client, make_guarded())

    assert "Guard: at most 5% below the control, else the control gets all traffic" in html
    assert "Post-click conversion rate" in html
    assert "-50.0%" in html or "−50.0%" in html


def test_explore__notes__are_marked(client: Client) -> None:
    experiment = make_running()
    add_note(experiment_id=experiment.pk, date=TODAY, text="Sale <begins>", now=NOW)

    html = page(client, experiment, "explore/")

    assert '"label": "Sale \\u003Cbegins\\u003E"' in html


def test_overview__stopped_by_a_guard__names_no_leader_and_suggests_nothing(client: Client) -> None:
    experiment = make_guarded()
    allocate(experiment)

    html = page(client, experiment)

    assert "Leader (95%)" not in html
    choices = html.split('name="winner"')[1:]
    assert len(choices) == 2
    assert not any("checked" in choice.split(">")[0] for choice in choices)
