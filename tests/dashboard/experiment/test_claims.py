"""No page, report or answer claims more than the data says: who won, how sure it is, what a lift is worth."""

import datetime as dt
import json
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from allocation.services import complete_experiment
from experiments.campaign.models import GuardAction
from experiments.models import Experiment
from experiments.services import archive_experiment
from tests.allocation.test_guards import make_guarded
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]

DAY = dt.timedelta(days=1)
PORTUGUESE: dict[str, Any] = {"HTTP_ACCEPT_LANGUAGE": "pt-BR"}


def make_daily(days: int, size: int, **clicks: int) -> Experiment:
    """Record days up to yesterday, each with ``size`` impressions and so many clicks of each variant."""
    experiment = make_experiment()
    for age in range(days, 0, -1):
        date = TODAY - age * DAY
        rows = [counts(name, size, number, number // 5, date) for name, number in clicks.items()]
        record(experiment, *rows)
    allocate(experiment)
    return experiment


def make_open() -> Experiment:
    """c is the most likely to be the best, b second, and nothing is decided."""
    return make_daily(20, 500, control=25, b=27, c=28)


def end_with(experiment: Experiment, name: str) -> None:
    final = experiment.variants.get(name=name)
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=final.pk)


def context(client: Client, experiment: Experiment, tab: str = "", **headers: Any) -> Any:
    response = client.get(f"/dashboard/experiments/{experiment.key}/{tab}", **headers)
    assert response.status_code == 200
    return response.context


def sentence(experiment: Experiment) -> str:
    answer = APIClient().get(f"/api/v1/experiments/{experiment.key}/statistics/")
    return str(json.loads(answer.content)["sentence"])


HARM = "Conversion rate: b is more than 5% below the control."
CHANCES = "26.4% probability to be best; c was more likely, 72.3%"


@pytest.mark.parametrize(
    ("final", "chances"),
    [("b", CHANCES), ("c", "72.3% probability to be best"), ("control", "1.3% probability")],
)
def test_ended__before_it_was_decided__won_nowhere(client: Client, final: str, chances: str) -> None:
    experiment = make_open()
    end_with(experiment, final)

    verdict = context(client, experiment)["verdict"]
    report = client.get(f"/dashboard/experiments/{experiment.key}/report/").content.decode()
    pages = [
        client.get(address, **PORTUGUESE).content.decode() + client.get(address).content.decode()
        for address in ("/dashboard/", f"/dashboard/experiments/{experiment.key}/history/")
    ]

    assert verdict.lines[0].startswith(chances)
    assert verdict.lines[-1] == "Make this choice permanent on your site, then archive the experiment."
    assert sentence(experiment).startswith(f"Ended: {final} was chosen, with {chances}")
    for text in (verdict.title, report, sentence(experiment), *pages):
        assert " won" not in text
        assert "venceu" not in text
    if final != "control":
        assert verdict.title.startswith(f"Ended on 1 Sep 2025: {final} was chosen with click-through rate")
    assert chances in report


def test_ended__before_it_was_decided__portuguese_says_as_much(client: Client) -> None:
    experiment = make_open()
    end_with(experiment, "b")

    verdict = context(client, experiment, **PORTUGUESE)["verdict"]

    assert "b foi escolhida com" in verdict.title
    assert verdict.lines[0] == "26,4% de probabilidade de ser a melhor; a de c era maior: 72,3%."


def test_ended__decided_for_it__won_everywhere(client: Client) -> None:
    experiment = make_daily(20, 1000, control=100, b=130)
    end_with(experiment, "b")

    verdict = context(client, experiment)["verdict"]

    assert verdict.title.startswith("Ended on 1 Sep 2025: b won with click-through rate (CTR) +30.0%")
    assert not any("probability to be best" in line for line in verdict.lines)
    assert sentence(experiment) == "Ended: b won, with > 99.9% probability to be best."


def test_ended__decided_for_another__was_chosen_nevertheless(client: Client) -> None:
    experiment = make_daily(20, 1000, control=100, b=130)
    end_with(experiment, "control")

    verdict = context(client, experiment)["verdict"]

    assert verdict.title == "Ended on 1 Sep 2025: control gets all traffic."
    assert verdict.lines[0] == "< 0.1% probability to be best; b was more likely, > 99.9%."
    assert sentence(experiment).startswith("Ended: control was chosen, with < 0.1% probability to be best;")


def test_ended__while_a_guard_warned__was_chosen(client: Client) -> None:
    """Nothing counts as decided while a guard warns; the decisions of the end look at no guard."""
    experiment = make_guarded(GuardAction.TELL)
    allocate(experiment)
    end_with(experiment, "b")

    verdict = context(client, experiment)["verdict"]
    assert "was chosen with" in verdict.title
    assert verdict.tone == "warning"
    assert verdict.lines[:2] == ["A guard warned when the experiment ended.", HARM]
    assert verdict.lines[-1] == "Weigh that before you make this choice permanent on your site."
    assert sentence(experiment) == "Ended: b gets all traffic. A guard warned when it ended."


def test_ended__after_a_guard_acted__says_so(client: Client) -> None:
    experiment = make_guarded()
    allocate(experiment)
    end_with(experiment, "b")

    verdict = context(client, experiment)["verdict"]

    assert (verdict.tone, verdict.lines[:2]) == (
        "warning",
        ["A guard warned when the experiment ended.", HARM],
    )
    assert verdict.lines[2] == "b is clearly worse than the control on: Conversion rate."


@pytest.mark.parametrize("action", [GuardAction.TELL, GuardAction.ACT])
def test_ended__with_the_control_as_a_guard_asked__is_no_warning(client: Client, action: GuardAction) -> None:
    experiment = make_guarded(action)
    allocate(experiment)
    end_with(experiment, "control")

    verdict = context(client, experiment)["verdict"]

    assert verdict.tone == "info"
    assert verdict.lines[-3:] == [
        "A guard warned when the experiment ended.",
        HARM,
        "Make this choice permanent on your site, then archive the experiment.",
    ]


def test_ended__worse_on_another_metric__is_weighed_as_before_the_end(client: Client) -> None:
    experiment = make_experiment()
    for age in range(20, 0, -1):
        rows = [counts("control", 1000, 100, 50), counts("b", 1000, 130, 25)]
        record(experiment, *(row._replace(date=TODAY - age * DAY) for row in rows))
    allocate(experiment)
    before = context(client, experiment)["verdict"]
    end_with(experiment, "b")

    verdict = context(client, experiment)["verdict"]

    worse = "clearly worse than the control on: Conversion rate."
    assert before.title == f"b leads on the goal, but is {worse}"
    assert (verdict.tone, verdict.lines[0]) == ("warning", f"b is {worse}")
    assert "permanent on your site, then archive" not in " ".join(verdict.lines)


def test_ended__control_was_the_best__won_on_page_and_in_the_answer(client: Client) -> None:
    experiment = make_daily(20, 1000, control=130, b=100)
    end_with(experiment, "control")

    assert context(client, experiment)["verdict"].title.endswith(": control won.")
    assert sentence(experiment).startswith("Ended: control won, with")


def test_ended__one_variant_alone__won_nothing(client: Client) -> None:
    experiment = make_daily(20, 1000, control=130)
    end_with(experiment, "control")

    assert context(client, experiment)["verdict"].title.endswith(": control gets all traffic.")
    assert sentence(experiment) == "Ended: control gets all traffic."


def test_ended__archived__is_not_asked_to_be_archived(client: Client) -> None:
    experiment = make_daily(20, 1000, control=100, b=130)
    end_with(experiment, "b")
    archive_experiment(experiment_id=experiment.pk, now=NOW, archived=True)

    assert context(client, experiment)["verdict"].lines[-1] == "Make this choice permanent on your site."


def test_ended__without_a_success__numbers_wait_for_nothing(client: Client) -> None:
    experiment = make_daily(20, 1000, control=0, b=0)
    end_with(experiment, "b")

    page = client.get(f"/dashboard/experiments/{experiment.key}/").content.decode()

    assert "95% not reached yet" not in page
    assert "95% was not reached" in page


def test_ended__with_a_variant_of_little_data__names_no_chance(client: Client) -> None:
    experiment = make_daily(20, 1000, control=100, b=130)
    record(experiment, counts("c", 20, 10, date=TODAY - DAY))
    end_with(experiment, "c")

    assert sentence(experiment) == "Ended: c gets all traffic."


def test_ended__settings__are_locked_and_the_verdict_stays(client: Client) -> None:
    experiment = make_daily(20, 1000, control=100, b=130)
    end_with(experiment, "b")
    before, api = sentence(experiment), APIClient()
    address = f"/api/v1/experiments/{experiment.key}/"

    refused = api.patch(address, {"settings": {"min_impressions": 1_000_000}}, format="json")
    renamed = api.patch(address, {"name": "Another", "settings": {"min_impressions": None}}, format="json")

    assert (refused.status_code, renamed.status_code) == (409, 200)
    assert "has ended; its settings are locked." in refused.json()["detail"]
    assert sentence(experiment) == before


def test_ended__traffic_did_not_match__no_probability_beside_it(client: Client) -> None:
    experiment = make_daily(20, 1000, control=100, b=130)
    record(experiment, counts("control", 1000, 100), counts("b", 1000, 130))
    end_with(experiment, "b")

    verdict = context(client, experiment)["verdict"]

    assert "was chosen with" in verdict.title
    assert not any("probability" in line for line in verdict.lines)
    assert sentence(experiment) == ("Ended: b gets all traffic. Traffic did not match the allocation (SRM).")


def test_sentence__one_day_of_a_clear_leader__agrees_with_the_page(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 10_000, 700), counts("b", 10_000, 950))
    allocate(experiment)

    said = sentence(experiment)
    lines = context(client, experiment)["verdict"].lines

    assert said == (
        "b leads: > 99.9% probability to be best. Another variant would gain less than 0.1%. "
        "Keep running to measure the lift more precisely."
    )
    assert lines[0] == "> 99.9% probability to be best of 2. Another variant would gain less than 0.1%."
    assert lines[-1] == "Keep running to measure the lift more precisely."


def test_sentence__beside_a_guard_that_warns__is_the_pages(client: Client) -> None:
    experiment = make_guarded(GuardAction.TELL)
    allocate(experiment)

    assert sentence(experiment) == context(client, experiment)["verdict"].title


@pytest.mark.parametrize("others", [{}, {"c": 4000}])
def test_tie__decided__no_page_names_a_best_choice(client: Client, others: dict[str, int]) -> None:
    experiment = make_daily(17, 100_000, control=5000, b=5000, **others)

    shown = context(client, experiment)
    verdict = shown["verdict"]

    assert shown["summary"].allocation.state == "decided"
    assert verdict.title.startswith("control and b are equally good, and either can be chosen: with 95%")
    assert verdict.title == sentence(experiment)
    assert shown["summary"].allocation.reason.startswith("No variant leads: 2 are equally likely")
    assert verdict.lines[0] == "50.0% probability to be best each."
    assert verdict.action is not None
    assert verdict.action.label == "End the experiment…"


def test_tie__ended__was_chosen(client: Client) -> None:
    experiment = make_daily(17, 100_000, control=5000, b=5000)
    end_with(experiment, "b")

    assert context(client, experiment)["verdict"].lines[0] == "50.0% probability to be best."
    assert sentence(experiment) == "Ended: b was chosen, with 50.0% probability to be best."


def test_tie__one_of_them_sells_clearly_less__says_so(client: Client) -> None:
    experiment = make_experiment()
    for age in range(17, 0, -1):
        date = TODAY - age * DAY
        rows = [counts(name, 100_000, 5000, orders, date) for name, orders in (("control", 1000), ("b", 500))]
        record(experiment, *rows)
    allocate(experiment)

    verdict = context(client, experiment)["verdict"]

    assert verdict.tone == "warning"
    assert verdict.lines[0] == (
        "On the goal they are level, but b is clearly worse than the control on: Conversion rate."
    )
