"""A variant with too little data that is likelier to be the best than those judged: nobody is called ahead of it."""

import csv
import datetime as dt
import io
import json
from decimal import Decimal

import pytest
from django.test import Client
from rest_framework.test import APIClient

from allocation.models import Allocation
from allocation.services import complete_experiment
from dashboard.templatetags.experiment_list import result
from experiments.metrics import DailyCounts, Reward
from experiments.models import Experiment
from tests.dashboard.files import text_of
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]

DAYS = [TODAY - age * dt.timedelta(days=1) for age in range(20, 0, -1)]
AHEAD = "No clear winner yet. b is ahead of those with enough data; c may be better, but does not have enough yet."

REST = "The rest of the probability to be best is that of variants without enough data."


def make_beside(*newcomers: str) -> Experiment:
    """b is 4% better than the control on 20,000 visits each; newcomers have 120 visits at more than twice the rate."""
    experiment = make_experiment()
    for date in DAYS:
        record(experiment, counts("control", 1000, 100, date=date), counts("b", 1000, 104, date=date))
    for name in newcomers:
        record(experiment, *(counts(name, 60, 14, date=date) for date in DAYS[-2:]))
    allocate(experiment)
    return experiment


def verdict_of(client: Client, experiment: Experiment) -> tuple[str, list[str]]:
    found = client.get(f"/dashboard/experiments/{experiment.key}/").context["verdict"]
    return found.title, found.lines


def sentence_of(experiment: Experiment) -> str:
    answer = APIClient().get(f"/api/v1/experiments/{experiment.key}/statistics/")
    return str(json.loads(answer.content)["sentence"])


def end_with(experiment: Experiment, name: str) -> None:
    final = experiment.variants.get(name=name)
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=final.pk)


def test_newcomer__likelier_to_be_the_best__is_named_on_page_and_in_the_answer(client: Client) -> None:
    experiment = make_beside("c")

    title, lines = verdict_of(client, experiment)

    assert title == AHEAD
    assert sentence_of(experiment) == (
        f"{AHEAD} Too early to tell: another variant could still be up to 2.8 times as good."
    )
    assert not any("does not have enough data yet" in line for line in lines)


def test_newcomer__likelier_to_be_the_best__no_page_shows_the_chance_of_another(client: Client) -> None:
    experiment = make_beside("c")

    page = client.get(f"/dashboard/experiments/{experiment.key}/").content.decode()

    assert "Probability that b is best" not in page
    assert "Probability to be best</dt>" in page
    assert REST in page
    assert REST in client.get(f"/dashboard/experiments/{experiment.key}/report/").content.decode()


def test_newcomer__in_data_without_an_allocation__nobody_is_called_ahead(client: Client) -> None:
    experiment = make_beside("c")
    Allocation.objects.all().delete()

    title, lines = verdict_of(client, experiment)

    assert title == "There are data or settings that traffic does not use yet."
    assert lines[0] == AHEAD


@pytest.mark.parametrize(("newcomers", "is_said"), [([], True), (["c"], False)])
def test_deactivating__one_that_a_newcomer_may_well_beat__is_not_said_to_be_ahead(
    client: Client, newcomers: list[str], is_said: bool
) -> None:
    experiment = make_beside(*newcomers)

    page = client.get(f"/dashboard/experiments/{experiment.key}/settings/").content.decode()

    assert ("It is ahead:" in page) == is_said


def test_deactivating__one_that_two_newcomers_together_may_well_beat__is_not_said_to_be_ahead(
    client: Client,
) -> None:
    """Each of them alone is less likely to be the best than b."""
    experiment = make_experiment()
    for date in DAYS:
        record(experiment, counts("control", 1000, 100, date=date), counts("b", 1000, 108, date=date))
    record(experiment, *(counts(name, 60, 6, date=date) for name in ("c", "d") for date in DAYS[-2:]))
    allocate(experiment)

    page = client.get(f"/dashboard/experiments/{experiment.key}/settings/").content.decode()

    assert "2 others may be better" in verdict_of(client, experiment)[0]
    assert "It is ahead:" not in page


def test_newcomers__several__are_counted(client: Client) -> None:
    title, _lines = verdict_of(client, make_beside("c", "d"))

    assert title.endswith("2 others may be better, but do not have enough yet.")


def test_newcomer__beside_one_judged__that_one_is_ahead_of_nobody(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, *(counts("control", 1000, 100, date=date) for date in DAYS))
    record(experiment, *(counts("b", 60, 14, date=date) for date in DAYS[-2:]))
    allocate(experiment)

    title, _lines = verdict_of(client, experiment)

    assert title == "No clear winner yet. Only control has enough data; b may be better."
    assert sentence_of(experiment).startswith(title)


def test_newcomer__likelier_to_be_the_best__the_list_says_so(client: Client) -> None:
    make_beside("c")

    (row,) = client.get("/dashboard/").context["rows"]
    (line,) = csv.DictReader(io.StringIO(text_of(client.get("/dashboard/experiments.csv"))))

    assert row.ahead is None
    assert "c may be better</span><small>not enough data to judge</small>" in result(row)
    assert {line[name] for name in ("leader", "lift", "probability_best")} == {""}


def test_newcomer__likelier_to_be_the_best__the_decision_log_says_so() -> None:
    experiment = make_beside("c")

    assert experiment.allocations.get().reason == (
        "b leads those with enough data; another variant may be better. "
        "c has too little data to be judged; until it has more it gets an even share at most."
    )


def test_newcomer__likelier_when_it_ended__is_named(client: Client) -> None:
    experiment = make_beside("c")
    end_with(experiment, "b")

    _title, lines = verdict_of(client, experiment)
    (row,) = client.get("/dashboard/").context["rows"]

    assert lines[0] == "c may have been better, but did not have enough data."
    assert sentence_of(experiment) == f"Ended: b gets all traffic. {lines[0]}"
    assert "<small>gets all traffic</small>" in result(row)


def test_newcomer__likelier_when_another_than_the_leader_was_chosen__hides_no_leader(client: Client) -> None:
    experiment = make_experiment()
    for date in DAYS:
        clicks = {"control": 100, "b": 106, "d": 110}
        record(experiment, *(counts(name, 1000, number, date=date) for name, number in clicks.items()))
    record(experiment, *(counts("c", 60, 7, date=date) for date in DAYS[-2:]))
    allocate(experiment)
    end_with(experiment, "b")

    _title, lines = verdict_of(client, experiment)

    chosen = "4.2% probability to be best; d was more likely, 40.5%."
    rival = "c may have been better, but did not have enough data."
    assert lines[:2] == [chosen, rival]
    assert sentence_of(experiment) == f"Ended: b was chosen, with {chosen} {rival}"


@pytest.mark.parametrize("others", [{}, {"d": 52}])
def test_tie__nothing_decided__nobody_is_called_ahead(client: Client, others: dict[str, int]) -> None:
    experiment = make_experiment()
    for date in DAYS:
        clicks = {"control": 40, "b": 52, "c": 52, **others}
        record(experiment, *(counts(name, 1000, number, date=date) for name, number in clicks.items()))
    allocate(experiment)

    title, lines = verdict_of(client, experiment)
    (row,) = client.get("/dashboard/").context["rows"]

    level = "3 variants are" if others else "b and c are"
    each = "33.3%" if others else "50.0%"
    assert title == f"No clear winner yet. {level} equally likely to be the best ({each} each)."
    assert f"{level} level" in result(row)
    assert f"{each} probability to be best each" in result(row)
    assert sentence_of(experiment).startswith(title)
    assert not any("vs control" in line for line in lines)
    assert row.ahead is None
    settings = client.get(f"/dashboard/experiments/{experiment.key}/settings/").content.decode()
    assert "It is ahead:" not in settings


def test_value__control_without_orders__says_that_orders_lack(client: Client) -> None:
    experiment = make_experiment(reward=Reward.VALUE_PER_IMPRESSION)
    for date in DAYS:
        value = (Decimal(200), 9000.0)
        record(experiment, DailyCounts(date, "control", 500, 50), DailyCounts(date, "b", 500, 60, 5, *value))
    allocate(experiment)

    said = "control does not have enough data yet: about 20 more orders are needed to judge it."
    assert said in verdict_of(client, experiment)[1]
    assert sentence_of(experiment).endswith(said)
    for tab in ("", "traffic/"):
        page = client.get(f"/dashboard/experiments/{experiment.key}/{tab}").content.decode()
        assert "<small>about 20 more orders</small>" in page


def test_value__no_variant_with_orders__says_how_many_each_needs(client: Client) -> None:
    experiment = make_experiment(reward=Reward.VALUE_PER_IMPRESSION)
    record(experiment, *(counts(name, 10_000, 500) for name in ("control", "b")))
    allocate(experiment)

    title, lines = verdict_of(client, experiment)

    assert title == "No variant has enough data yet."
    assert lines == ["2 variants do not have enough data yet: each needs at most about 20 more orders."]


def test_value__variants_of_whose_orders_one_has_enough_but_varies__are_not_said_to_need_fewer(
    client: Client,
) -> None:
    """c has 25 orders, which weigh less than 20 whose values vary as the others' do."""
    experiment = make_experiment(reward=Reward.VALUE_PER_IMPRESSION)
    for date in DAYS:
        value = (Decimal(200), 9000.0)
        record(experiment, *(DailyCounts(date, name, 500, 50, 10, *value) for name in ("control", "b")))
    record(experiment, DailyCounts(DAYS[-1], "c", 30, 10, 25, Decimal(1000), 45000.0))
    record(experiment, DailyCounts(DAYS[-1], "d", 900, 10, 5, Decimal(300), 20000.0))
    allocate(experiment)

    [said] = [line for line in verdict_of(client, experiment)[1] if "enough data yet" in line]

    assert said == "2 variants do not have enough data yet: each needs at most about 15 more orders."


def test_newcomer__likelier_than_the_chosen_one_but_not_than_the_leader__is_no_rival(client: Client) -> None:
    """The list shows the lift that the page of the experiment shows."""
    experiment = make_experiment()
    for date in DAYS:
        clicks = {"control": 100, "b": 106, "d": 112}
        record(experiment, *(counts(name, 1000, number, date=date) for name, number in clicks.items()))
    record(experiment, *(counts("c", 60, 6, date=date) for date in DAYS[-2:]))
    allocate(experiment)
    end_with(experiment, "b")

    title, lines = verdict_of(client, experiment)
    (row,) = client.get("/dashboard/").context["rows"]

    assert "b was chosen with click-through rate (CTR) +6.0% vs control" in title
    assert "d was more likely" in lines[0]
    assert "+6.0%" in result(row)
