"""The end of an experiment on its pages: which variant, why, and the way back."""

import datetime as dt
import re

import pytest
from django.test import Client

from allocation.campaigns.schedule import follow_schedules
from allocation.campaigns.undo import undo_completion
from allocation.models import Allocation
from allocation.services import complete_experiment
from dashboard.experiment.markers import markers_of_changes
from experiments.campaign.models import End
from experiments.models import Experiment, Status
from experiments.services import change_status
from experiments.variants import add_variant
from notifications.events import EventKind
from notifications.models import Alarm
from tests.allocation.test_campaigns import make_decided
from tests.allocation.test_guards import make_guarded
from tests.dashboard.clients import client_of
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

DAY = dt.timedelta(days=1)


@pytest.fixture
def analyst() -> Client:
    return client_of("analyst")


def page(client: Client, experiment: Experiment, tab: str = "") -> str:
    return client.get(f"/dashboard/experiments/{experiment.key}/{tab}").content.decode()


def dialog(html: str) -> str:
    found = re.search(r'<dialog id="complete".*?</dialog>', html, re.DOTALL)
    assert found is not None
    return " ".join(re.sub(r"<(?!input)[^>]*>", " ", found.group()).split())


def chosen(html: str) -> list[str]:
    inputs = re.findall(r'<input class="form-check-input".*?>', html, re.DOTALL)
    return re.findall(r'data-says="(.*?)"', "".join(i for i in inputs if "checked" in i))


def end(
    client: Client, experiment: Experiment, reason: str = "Sells more.", winner: str = "variant_b"
) -> str:
    data = {"winner": experiment.variants.get(name=winner).pk, "decision_reason": reason}
    return client.post(
        f"/dashboard/experiments/{experiment.key}/complete/", data, follow=True
    ).content.decode()


def test_ended__without_variants__no_page_names_a_choice(analyst: Client) -> None:
    experiment = make_experiment()
    complete_experiment(
        experiment_id=experiment.pk, target_date=TODAY, now=NOW, decision_reason="By mistake."
    )

    pages = {
        tab: page(analyst, experiment, tab) for tab in ("", "explore/", "traffic/", "integrate/", "report/")
    }

    for tab in ("", "report/"):
        assert "Ended on 1 Sep 2025 without variants: nothing was tested." in pages[tab]
        assert "Reason: By mistake." in pages[tab]
        assert "Archive or delete the experiment." in pages[tab]
    assert "This experiment has ended without variants" in pages["integrate/"]
    assert not any("all traffic" in html or "Make this choice" in html for html in pages.values())


def test_dialog__every_tab__lists_each_variant_with_lift_and_probability(analyst: Client) -> None:
    experiment = make_running()
    allocate(experiment)

    for tab in ("", "data/", "settings/", "history/", "traffic/"):
        said = dialog(page(analyst, experiment, tab))

        assert "data up to 1 Sep 2025" in said
        assert "variant_b +35.7% (+23.6% to +49.0%) · &gt; 99.9% probability to be best" in said
        assert "control baseline · &lt; 0.1% probability to be best" in said


def test_dialog__ready_to_decide__chooses_the_leader_beforehand(analyst: Client) -> None:
    experiment = make_decided()
    allocate(experiment)

    html = page(analyst, experiment)

    assert chosen(html) == ["End and ship b"]
    assert "alert-warning" not in dialog(html)


def test_dialog__one_active_variant__warns_that_nothing_is_compared(analyst: Client) -> None:
    experiment = make_decided()
    experiment.variants.filter(name="b").update(is_active=False)
    allocate(experiment)

    html = page(analyst, experiment)

    assert chosen(html) == []
    assert "Only one variant is active: there is nothing to compare." in dialog(html)
    assert "It is not ready to decide" not in dialog(html)


def test_dialog__not_ready__warns_and_chooses_nobody(analyst: Client) -> None:
    experiment = make_running()
    allocate(experiment)

    html = page(analyst, experiment)

    assert chosen(html) == []
    assert "It is not ready to decide" in dialog(html)


def test_dialog__traffic_does_not_match__warns_and_chooses_nobody(analyst: Client) -> None:
    experiment = make_decided()
    allocate(experiment)
    Alarm.objects.create(experiment=experiment, kind=EventKind.SAMPLE_RATIO_MISMATCH, facts={}, raised_at=NOW)

    html = page(analyst, experiment)

    assert chosen(html) == []
    assert "Traffic does not match the allocation (SRM)" in dialog(html)


def test_dialog__guard__warns_and_chooses_nobody(analyst: Client) -> None:
    experiment = make_guarded()
    allocate(experiment)

    html = page(analyst, experiment)

    assert chosen(html) == []
    # "clearly" is kept for what both intervals say
    assert "A guard has stopped the experiment: a variant is worse on a guarded metric." in dialog(html)


def test_dialog__too_little_data__says_so_of_the_variant(analyst: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 5000, 300), counts("b", 5000, 330), counts("new", 1, 0))
    allocate(experiment)

    assert "new Not enough data" in dialog(page(analyst, experiment))


def test_dialog__nothing_decided_yet__lists_the_variants(analyst: Client) -> None:
    said = dialog(page(analyst, make_running()))

    assert "There is not enough data yet" in said
    assert "variant_b Not enough data" in said


def test_end__with_a_reason__says_by_whom_and_until_when_it_can_be_undone(analyst: Client) -> None:
    experiment = make_running()
    allocate(experiment)

    html = end(analyst, experiment, " Sells more.\r\nAnd looks better. ")

    experiment.refresh_from_db()
    assert (experiment.status, experiment.decision_reason) == ("completed", "Sells more.\nAnd looks better.")
    assert "Ended: variant_b gets all traffic. You can undo this until 2 Sep 2025, 12:00 UTC." in html
    assert "Ended on 1 Sep 2025, 12:00 UTC by analyst" in html
    assert "Undo the end" in html
    assert "Reason: Sells more." in page(analyst, experiment, "settings/")


def test_end__without_data__names_the_winner_and_the_reason(analyst: Client) -> None:
    experiment = make_experiment()
    add_variant(experiment_id=experiment.pk, name="control", now=NOW, is_control=True)
    winner = add_variant(experiment_id=experiment.pk, name="b", now=NOW)
    complete_experiment(
        experiment_id=experiment.pk,
        target_date=TODAY,
        now=NOW,
        winner_id=winner.pk,
        decision_reason="Cheaper.",
    )

    html = page(analyst, experiment)

    assert "Ended on 1 Sep 2025: b gets all traffic." in html
    assert "Reason: Cheaper." in html
    assert "No data yet" not in html


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("  ", "Give the reason for the end."),
        ("x" * 2001, "The reason has 2001 characters; at most 2000 are kept."),
    ],
)
def test_end__reason_that_is_missing_or_too_long__changes_nothing(
    analyst: Client, reason: str, said: str
) -> None:
    experiment = make_running()

    html = end(analyst, experiment, reason)

    experiment.refresh_from_db()
    assert (experiment.status, said in html) == (Status.ACTIVE, True)


def test_end__no_variant__changes_nothing(analyst: Client) -> None:
    experiment = make_running()

    response = analyst.post(
        f"/dashboard/experiments/{experiment.key}/complete/", {"decision_reason": "x"}, follow=True
    )

    experiment.refresh_from_db()
    assert "Select the variant that gets all traffic." in response.content.decode()
    assert experiment.status == Status.ACTIVE


def test_undo__within_a_day__is_as_before(analyst: Client) -> None:
    experiment = make_running()
    before = allocate(experiment)
    end(analyst, experiment)

    html = analyst.post(
        f"/dashboard/experiments/{experiment.key}/complete/undo/", follow=True
    ).content.decode()

    experiment.refresh_from_db()
    assert (experiment.status, experiment.winner) == (Status.ACTIVE, None)
    assert "The end is undone. The experiment is active again" in html
    assert "Ended on" not in html
    assert Allocation.objects.in_force_on(TODAY)[0].inputs_digest == before.inputs_digest


@pytest.mark.parametrize(
    ("paused", "end_again", "labels"),
    [(False, False, []), (True, False, ["paused"]), (True, True, ["paused", "ended"])],
    ids=["active", "paused", "paused, and ended after all"],
)
def test_undo__charts__are_marked_by_what_is_left(
    analyst: Client, paused: bool, end_again: bool, labels: list[str]
) -> None:
    experiment = make_running()
    if paused:
        change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)
    undo_completion(experiment_id=experiment.pk, now=NOW)
    if end_again:
        complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)
    experiment.refresh_from_db()

    assert [marker.label for marker in markers_of_changes(experiment)] == labels


def test_undo__after_a_day__is_refused_and_not_offered(analyst: Client) -> None:
    experiment = make_running()
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW - DAY)

    html = page(analyst, experiment)
    refused = analyst.post(
        f"/dashboard/experiments/{experiment.key}/complete/undo/", follow=True
    ).content.decode()

    assert "Ended on 31 Aug 2025" in html
    assert "Undo the end" not in html
    assert "could be undone until 2025-09-01 12:00 UTC" in refused
    experiment.refresh_from_db()
    assert experiment.status == Status.COMPLETED


def test_undo__viewer__sees_the_end_without_the_button(analyst: Client) -> None:
    experiment = make_running()
    end(analyst, experiment)

    html = page(client_of("viewer"), experiment)

    assert "by analyst" in html
    assert "Undo the end" not in html


def test_end__by_its_schedule__says_so(analyst: Client) -> None:
    experiment = make_running(ends_at=NOW - dt.timedelta(hours=1), on_end=End.LEADER)
    follow_schedules(now=NOW)

    html = page(analyst, experiment, "data/")

    assert "Ended by itself on 1 Sep 2025, 12:00 UTC" in html
    assert "Reason: Ended on schedule." in html
    analyst.cookies["django_language"] = "pt-br"
    assert "Motivo: Encerrado na data marcada." in page(analyst, experiment)


def test_end__by_its_schedule_under_a_mismatch__says_why_the_control_gets_the_traffic(
    analyst: Client,
) -> None:
    experiment = make_running(ends_at=NOW - dt.timedelta(hours=1), on_end=End.LEADER)
    Alarm.objects.create(experiment=experiment, kind=EventKind.SAMPLE_RATIO_MISMATCH, raised_at=NOW)
    follow_schedules(now=NOW)

    html = page(analyst, experiment)

    assert "Ended by itself on 1 Sep 2025, 12:00 UTC" in html
    assert "Traffic did not match, so the control gets all of it." in html
