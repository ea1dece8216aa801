"""The page of results: its verdict, numbers and leaderboard."""

import datetime as dt
import re
from typing import Any

import pytest
from django.test import Client

from allocation.services import complete_experiment
from dashboard.experiment.results.verdict import Verdict
from experiments.campaign.models import GuardAction
from experiments.models import Experiment, Status
from experiments.services import change_status
from tests.allocation.test_guards import make_guarded
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]

DAY = dt.timedelta(days=1)


def context(client: Client, experiment: Experiment, query: str = "") -> Any:
    response = client.get(f"/dashboard/experiments/{experiment.key}/{query}")
    assert response.status_code == 200
    return response.context


def verdict(client: Client, experiment: Experiment) -> Verdict:
    found: Verdict = context(client, experiment)["verdict"]
    return found


def add_days(experiment: Experiment, days: int, *, skip: int = 0, b: tuple[int, int] = (130, 26)) -> None:
    """Two weeks and more of 2,000 visitors a day; ``b``: its clicks and conversions beside 100 and 20."""
    for age in range(days + skip, skip, -1):
        date = TODAY - age * DAY
        record(experiment, counts("control", 1000, 100, 20, date=date), counts("b", 1000, *b, date=date))


def make_decided(**fields: Any) -> Experiment:
    experiment = make_experiment(**fields)
    add_days(experiment, 20)
    allocate(experiment)
    return experiment


def test_verdict__decided__offers_to_ship_the_leader(client: Client) -> None:
    experiment = make_decided()

    found = verdict(client, experiment)

    # 130 clicks a day beside 100
    assert found.tone == "success"
    assert found.title.startswith(
        "b is the best choice: click-through rate (CTR) +30.0% vs control (95% interval +"
    )
    assert found.action is not None
    assert found.action.label == "End and ship b…"
    assert found.action.ends_with == experiment.variants.get(name="b").pk


def test_verdict__uploaded_before_any_allocation__advises_to_allocate_first(client: Client) -> None:
    experiment = make_experiment()
    add_days(experiment, 20)
    shown = context(client, experiment)
    found = shown["verdict"]

    # the badge has nothing to say yet, and the list says "Warming up"
    assert shown["summary"].state == ""
    assert found.title == "b is ahead, with data or settings that traffic does not use yet."
    assert found.action is not None
    assert (found.action.post, found.action.ends_with) == ("recompute", None)

    client.post(f"/dashboard/experiments/{experiment.key}/recompute/")
    assert context(client, experiment)["summary"].state == "decided"
    assert "best choice" in verdict(client, experiment).title


def test_verdict__uploaded_after_a_warm_up__does_not_run_ahead_of_the_badge(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 50, 2), counts("b", 50, 3))
    allocate(experiment)
    add_days(experiment, 20)

    shown = context(client, experiment)

    assert shown["summary"].state == "collecting"
    assert shown["verdict"].title.startswith("b is ahead, with data or settings that traffic does not use")
    # one button updates the allocation: the verdict's
    page = client.get(f"/dashboard/experiments/{experiment.key}/").content.decode()
    assert page.count("Update allocation") == 1


def test_verdict__opened_again_while_the_end_is_in_force__advises_to_allocate_first(client: Client) -> None:
    experiment = make_decided()
    winner = experiment.variants.get(name="b")
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=winner.pk)
    # as versions did that recorded no split when an end was undone
    Experiment.objects.update(status=Status.ACTIVE, winner=None, completed_at=None)

    found = verdict(client, experiment)

    assert found.title == "b is ahead, with data or settings that traffic does not use yet."
    assert found.action is not None
    assert (found.action.post, found.action.ends_with) == ("recompute", None)


def test_verdict__less_sure_by_newer_data__says_what_the_data_say(client: Client) -> None:
    experiment = make_decided()
    record(experiment, counts("control", 9000, 1600), counts("b", 9000, 900))

    found = verdict(client, experiment)

    assert found.action is None or found.action.ends_with is None
    assert "best choice" not in found.title


def test_verdict__the_control_wins__offers_to_keep_it(client: Client) -> None:
    experiment = make_experiment()
    add_days(experiment, 20, b=(70, 14))
    allocate(experiment)

    found = verdict(client, experiment)

    assert found.title == "control is the best choice: no variant beats the control."
    assert found.action is not None
    assert found.action.label == "End and keep control…"


def test_verdict__much_data_at_close_chances__says_why_it_is_decided(client: Client) -> None:
    """That little is left to gain decides, not who is the best: nobody is, by 95%."""
    experiment = make_experiment()
    for age in range(20, 0, -1):
        day = TODAY - age * DAY
        rows = [counts(name, 10**6, 100_000 + n, date=day) for name, n in (("control", 0), ("b", 1))]
        record(experiment, *rows)
    allocate(experiment)

    found = verdict(client, experiment)

    said = r"b is the best choice: with 95% probability no other variant is more than 0\.\d% better\."
    assert re.fullmatch(said, found.title)
    assert "probability to be best of 2." in found.lines[0]
    assert any("vs control (95% interval" in line for line in found.lines)


def test_verdict__fewer_orders_from_more_clicks__offers_no_winner(client: Client) -> None:
    experiment = make_experiment()
    add_days(experiment, 20, b=(160, 8))
    allocate(experiment)

    found = verdict(client, experiment)

    assert found.tone == "warning"
    assert "clearly worse than the control on: Conversion rate" in found.title
    assert found.action is not None
    assert (found.action.open, found.action.ends_with) == ("explore", None)


def test_verdict__traffic_that_misses_the_split__offers_no_winner(client: Client) -> None:
    experiment = make_experiment()
    add_days(experiment, 20, skip=3)
    allocate(experiment, TODAY - 3 * DAY)
    # 80% of the traffic went where 50% to 70% was to go
    for age in (2, 1):
        date = TODAY - age * DAY
        record(experiment, counts("control", 400, 40, date=date), counts("b", 1600, 208, date=date))

    found = verdict(client, experiment)

    assert (found.tone, found.title) == ("danger", "Traffic does not match the allocation (SRM).")
    assert found.action is not None
    assert found.action.open == "traffic"


def test_verdict__a_guard_warns__offers_no_winner(client: Client) -> None:
    experiment = make_guarded(GuardAction.TELL)
    allocate(experiment)

    found = verdict(client, experiment)

    assert found.tone == "danger"
    assert found.lines == ["Conversion rate: b is more than 5% below the control."]
    assert found.action is not None
    assert found.action.ends_with is None


def test_verdict__stopped_by_a_guard__offers_to_resume(client: Client) -> None:
    experiment = make_guarded()
    allocate(experiment)

    found = verdict(client, experiment)

    assert found.title == "Stopped by a guard: the control gets all traffic until someone resumes."
    assert found.action is not None
    assert found.action.post == "resume-after-guard"


def test_verdict__warming_up__forecasts_from_the_traffic_so_far(client: Client) -> None:
    experiment = make_experiment()
    for age in (3, 2, 1):
        date = TODAY - age * DAY
        record(experiment, counts("control", 50, 2, date=date), counts("b", 50, 3, date=date))

    found = verdict(client, experiment)

    assert found.title.startswith("Warming up: 300 of 1,000 impressions collected.")
    assert found.lines == ["700 more impressions until traffic starts to move (about 7 days)."]


def test_verdict__one_variant__asks_for_a_second_one(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("only", 2000, 100))

    assert (
        verdict(client, experiment).title == "Only one active variant (only). Add a second one to run a test."
    )


def test_verdict__never_shown_on_the_same_day__compares_nothing(client: Client) -> None:
    experiment = make_experiment()
    for age in range(40, 0, -1):
        name, clicks = ("control", 50) if age % 2 else ("b", 80)
        record(experiment, counts(name, 1000, clicks, date=TODAY - age * DAY))

    assert verdict(client, experiment).title.startswith("These variants were never shown on the same day")


def test_verdict__no_clicks_at_all__says_so(client: Client) -> None:
    experiment = make_experiment()
    for age in range(20, 0, -1):
        date = TODAY - age * DAY
        record(experiment, counts("control", 1000, 0, date=date), counts("b", 1000, 0, date=date))

    assert verdict(client, experiment).title == "No clicks yet: there is nothing to compare."


@pytest.mark.parametrize(
    ("status", "title", "action"),
    [
        (Status.DRAFT, "Draft: not started.", "Add variants"),
        (
            Status.ACTIVE,
            "No data yet. Traffic is split evenly until the first results arrive.",
            "Add your first data",
        ),
    ],
)
def test_verdict__without_data__names_the_next_step(
    client: Client, status: Status, title: str, action: str
) -> None:
    found = verdict(client, make_experiment(status=status))

    assert found.title == title
    assert found.action is not None
    assert found.action.label == action


def test_verdict__paused__still_says_what_the_data_say(client: Client) -> None:
    experiment = make_decided()
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)

    found = verdict(client, experiment)

    assert found.title == "Paused. Traffic stays at the last allocation."
    assert found.lines[0].startswith("b is the best choice")
    assert found.action is not None
    assert found.action.post == "resume"


PAUSED = "Paused. Traffic stays at the last allocation."


def pause(experiment: Experiment) -> None:
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)


@pytest.mark.parametrize(
    ("days", "clicks"), [(10, (102, 20)), (5, (130, 26))], ids=["nothing decided", "a leader"]
)
def test_verdict__paused__says_nothing_of_traffic_that_moves(
    client: Client, days: int, clicks: tuple[int, int]
) -> None:
    experiment = make_experiment()
    add_days(experiment, days, b=clicks)
    allocate(experiment)
    running = verdict(client, experiment).lines
    pause(experiment)

    found = verdict(client, experiment)

    assert running[-1] in {
        "Traffic shifts to better variants automatically every day.",
        "Keep running to measure the lift more precisely.",
    }
    assert found.title == PAUSED
    assert found.lines[1:] == [*running[:-1], "Resume to keep optimizing, or end the experiment."]


def test_verdict__paused_in_the_warm_up__promises_no_day_on_which_traffic_moves(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 50, 2), counts("b", 50, 3))
    allocate(experiment)
    pause(experiment)

    assert verdict(client, experiment).lines == [
        "Warming up: 100 of 1,000 impressions collected.",
        "Resume to keep optimizing, or end the experiment.",
    ]


def test_verdict__paused_without_data__says_that_it_is_paused(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 0, 0), counts("b", 0, 0))
    pause(experiment)

    found = verdict(client, experiment)

    assert (found.tone, found.title) == ("warning", "Paused. Traffic stays split evenly.")
    assert found.action is not None
    assert found.action.post == "resume"


def test_verdict__paused_with_newer_data__says_that_traffic_does_not_use_them(client: Client) -> None:
    """It said that every day counted alike, which the reader had not asked for."""
    experiment = make_experiment()
    record(experiment, counts("control", 50, 2), counts("b", 50, 3))
    allocate(experiment)
    pause(experiment)
    add_days(experiment, 20)

    assert verdict(client, experiment).lines[0] == (
        "b is ahead, with data or settings that traffic does not use yet."
    )


def test_completed__result__stays_with_its_numbers(client: Client) -> None:
    experiment = make_decided()
    before = context(client, experiment)
    complete_experiment(
        experiment_id=experiment.pk,
        target_date=TODAY,
        now=NOW,
        winner_id=experiment.variants.get(name="b").pk,
        decision_reason="More clicks.",
    )

    after = context(client, experiment)

    assert after["verdict"].title.startswith(
        "Ended on 1 Sep 2025: b won with click-through rate (CTR) +30.0% vs control (95% interval +"
    )
    assert after["verdict"].lines[0] == "Reason: More clicks."
    for name in ("rate", "uplift", "uplift_low", "uplift_high", "probability_best"):
        assert [getattr(row.found, name) for row in after["leaderboard"].rows] == [
            getattr(row.found, name) for row in before["leaderboard"].rows
        ]
    assert after["statistics"].rewards == before["statistics"].rewards
    assert not any(chart.is_empty for chart in after["charts"])
