"""No variant is shown as the better one where something speaks against it, and no page says otherwise than another."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client

from allocation.services import complete_experiment
from dashboard.formatting import format_date
from dashboard.templatetags.formats import signed
from experiments.campaign.models import GuardAction
from experiments.models import Experiment
from tests.allocation.test_guards import make_guarded
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]

DAY = dt.timedelta(days=1)


def make_daily(days: int, **clicks: int) -> Experiment:
    """Record days up to yesterday, each with 1,000 impressions and so many clicks of each variant."""
    experiment = make_experiment()
    for age in range(days, 0, -1):
        rows = [counts(name, 1000, number, date=TODAY - age * DAY) for name, number in clicks.items()]
        record(experiment, *rows)
    return experiment


def make_mismatched() -> Experiment:
    """Traffic of today arrives evenly, whatever the allocation says; nothing was decided from it yet."""
    experiment = make_daily(20, control=100, b=130)
    allocate(experiment)
    record(experiment, counts("control", 1000, 100), counts("b", 1000, 130))
    return experiment


def context(client: Client, experiment: Experiment) -> Any:
    return client.get(f"/dashboard/experiments/{experiment.key}/").context


def page(client: Client, experiment: Experiment, tab: str = "") -> str:
    return client.get(f"/dashboard/experiments/{experiment.key}/{tab}").content.decode()


def test_mismatch__decided_by_the_numbers__no_badge_and_no_tag_says_so(client: Client) -> None:
    experiment = make_mismatched()

    html, found = page(client, experiment), context(client, experiment)

    assert found["summary"].allocation.state == "decided"
    assert "Ready to decide" not in html
    assert "Traffic mismatch (SRM)" in html
    assert not any(row.is_certain for row in found["leaderboard"].rows)
    assert "Not reliable while traffic does not match" in html
    assert found["ending"].warnings == [
        "Traffic does not match the allocation (SRM): do not trust these numbers yet."
    ]
    assert not any(choice.is_chosen for choice in found["ending"].choices)


def test_mismatch__ended_nevertheless__the_result_says_that_it_may_be_wrong(client: Client) -> None:
    experiment = make_mismatched()
    winner = experiment.variants.get(name="b")
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=winner.pk)

    verdict = context(client, experiment)["verdict"]

    assert verdict.tone == "warning"
    assert verdict.lines[0] == "Traffic did not match the allocation (SRM): this result may be wrong."


def test_sure_leader__seen_by_no_decision_yet__the_page_does_not_deny_the_95_percent(client: Client) -> None:
    experiment = make_daily(20, control=100, b=150)

    before = page(client, experiment)
    allocate(experiment)

    assert "above 95% with data that traffic does not use yet" in before
    assert "95% not reached yet" not in before
    assert "95% reached on" in page(client, experiment)


def test_sure_leader__ended_on_the_day_that_it_led_first__the_page_does_not_deny_the_95_percent(
    client: Client,
) -> None:
    experiment = make_daily(20, control=100, b=150)
    allocate(experiment)
    winner = experiment.variants.get(name="b")
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=winner.pk)

    html = page(client, experiment)

    assert f"95% reached on {format_date(TODAY)}" in html
    assert "traffic does not use yet" not in html


def test_sure_leader__of_data_that_no_decision_saw__the_page_names_the_end(client: Client) -> None:
    experiment = make_daily(20, control=100, b=150)
    winner = experiment.variants.get(name="b")
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=winner.pk)

    assert "above 95% when it ended" in page(client, experiment)


def test_one_variant__sure_to_be_the_best__is_neither_leader_nor_a_result(client: Client) -> None:
    experiment = make_daily(20, control=100)
    allocate(experiment)

    html, listed = page(client, experiment), client.get("/dashboard/")

    assert "Ready to decide" not in html
    assert "Leader (95%)" not in html
    assert "Nothing to compare it with" in html
    assert "95% not reached yet" not in html
    assert not context(client, experiment)["leaderboard"].rows[0].is_certain
    (row,) = listed.context["rows"]
    assert (row.stage, row.flags, row.ahead) == ("learning", ("alone",), None)
    assert b"One variant only" in listed.content


def test_no_clicks__alike_by_the_prior_alone__no_rate_lift_or_chance_is_shown(client: Client) -> None:
    experiment = make_daily(20, control=0, b=0)
    allocate(experiment)

    html, found, listed = page(client, experiment), context(client, experiment), client.get("/dashboard/")

    assert found["verdict"].title == "No clicks yet: there is nothing to compare."
    assert [(row.is_judged, row.forest) for row in found["leaderboard"].rows] == [(False, None)] * 2
    assert "50.0%</strong></td>" in html  # the shares
    assert "Probability that" not in html
    assert listed.context["rows"][0].ahead is None
    assert b"No clicks yet" in listed.content


def test_guard__stopped_by_it__the_variant_that_harms_is_no_leader(client: Client) -> None:
    experiment = make_guarded(GuardAction.ACT)
    allocate(experiment)

    found = context(client, experiment)

    assert found["summary"].is_stopped
    assert not any(row.is_certain for row in found["leaderboard"].rows)
    assert "Stopped by a guard" in page(client, experiment, "history/")


def test_ninety_five_percent__reached_once_and_lost__is_not_shown_as_reached(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 5000, 500, date=TODAY - 10 * DAY))
    record(experiment, counts("b", 5000, 570, date=TODAY - 10 * DAY))
    allocate(experiment, TODAY - 9 * DAY)
    # split 30 to 70, as was decided
    record(experiment, counts("control", 3000, 320, date=TODAY - 2 * DAY))
    record(experiment, counts("b", 7000, 735, date=TODAY - 2 * DAY))
    allocate(experiment)

    html = page(client, experiment)

    assert "below 95% now, reached first on 23 Aug 2025" in html


def test_rank__chances_too_small_to_tell_apart__goes_by_the_rate(client: Client) -> None:
    # few data on the worse one: its chance is larger, though nobody sees it
    experiment = make_experiment()
    for age in range(20, 0, -1):
        date = TODAY - age * DAY
        known = [counts("control", 1000, 100, date=date), counts("best", 1000, 180, date=date)]
        record(experiment, *known, counts("good", 2000, 220, date=date), counts("rare", 60, 6, date=date))
    allocate(experiment)

    rows = [row.variant.name for row in context(client, experiment)["leaderboard"].rows]
    explored = client.get(f"/dashboard/experiments/{experiment.key}/explore/").context["rows"]

    assert rows[:2] == ["best", "good"]
    assert [variant.name for variant, _colour, _row in explored] == rows


def test_leaderboard__guarded_metric__comes_before_others(client: Client) -> None:
    experiment = make_guarded(GuardAction.TELL)
    allocate(experiment)

    columns = context(client, experiment)["leaderboard"].columns

    assert (columns[0].goal, bool(columns[0].guard)) == ("conversion_rate", True)


def test_signed__loss__has_a_minus_and_no_hyphen() -> None:
    assert [signed(value) for value in (12, -1200, 0.2)] == ["+12", "−1,200", "0"]
