"""The admin of experiments: changes go through the services."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from experiments.audit import coded, record_history
from experiments.models import Experiment, Status
from tests.admin.forms import act, change_form
from tests.factory import make_experiment, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


def test_admin__experiment_lists__same_queries_however_many(
    operator: Client, django_assert_max_num_queries: Any
) -> None:
    for n in range(15):
        make_running(f"E{n}")

    with django_assert_max_num_queries(8):
        operator.get("/admin/experiments/experiment/")


def test_admin__setting_changed__counts_as_a_change(operator: Client) -> None:
    experiment = make_running()
    before = Experiment.objects.get().data_version

    response = operator.post(
        f"/admin/experiments/experiment/{experiment.pk}/change/",
        change_form(experiment, control_floor="0.3"),
    )

    assert response.status_code == 302, response.content
    after = Experiment.objects.get()
    assert (after.control_floor, after.data_version) == (0.3, before + 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"control_floor": "0.9"}, "from 0 to 0.5"),
        ({"control_floor": "0.5", "min_explore_rate": "0.5"}, "0.99"),
    ],
)
def test_admin__setting_out_of_range__is_refused_on_the_form(
    operator: Client, changes: dict[str, str], words: str
) -> None:
    experiment = make_running()

    response = operator.post(
        f"/admin/experiments/experiment/{experiment.pk}/change/", change_form(experiment, **changes)
    )

    assert words in response.content.decode()
    assert Experiment.objects.get().control_floor is None


def test_admin_actions__each_experiment__gets_its_own_message(operator: Client) -> None:
    running, draft = make_running(), make_experiment("Draft", status=Status.DRAFT)

    page = act(operator, "pause", running, draft)

    assert "Button colour: Paused" in page
    assert "is draft; it can become active" in page
    assert set(Experiment.objects.values_list("status", flat=True)) == {"paused", "draft"}


def test_admin_actions__recompute_and_complete__go_through_the_services(operator: Client) -> None:
    running = make_running()

    assert "Allocation updated" in act(operator, "recompute", running)
    assert "Already up to date." in act(operator, "recompute", running)
    assert "Ended." in act(operator, "complete", running)
    assert Experiment.objects.get().status == Status.COMPLETED
    assert "stays so" in act(operator, "pause", running)


def test_admin_variants__renamed_added_and_retired__follow_the_rules(operator: Client) -> None:
    experiment = make_running()
    control, other = experiment.variants.order_by("pk")
    forms = {
        "variants-TOTAL_FORMS": 3, "variants-INITIAL_FORMS": 2,
        "variants-0-id": control.pk, "variants-0-name": "control", "variants-0-is_active": "on",
        "variants-1-id": other.pk, "variants-1-name": "green",
        "variants-2-name": "blue", "variants-2-is_active": "on",
    }  # fmt: skip
    url = f"/admin/experiments/experiment/{experiment.pk}/change/"

    assert operator.post(url, change_form(experiment, **forms)).status_code == 302
    assert list(experiment.variants.values_list("key", "name", "is_active")) == [
        ("control", "control", True), ("variant_b", "green", False), ("blue", "blue", True),
    ]  # fmt: skip

    del forms["variants-0-is_active"]
    forms |= {"variants-TOTAL_FORMS": 2}
    page = operator.post(url, change_form(experiment, **forms), follow=True).content.decode()
    assert "The control cannot be deactivated" in page
    assert experiment.variants.get(name="control").is_active


def test_admin__campaign__is_saved_by_the_service_and_checked(operator: Client) -> None:
    experiment = make_running()
    url = f"/admin/experiments/experiment/{experiment.pk}/change/"
    other = make_running("Other").variants.get(name="variant_b")

    saved = operator.post(url, change_form(experiment, owner="Growth", tags="Summer  mail", value_cap="9.5"))
    times = {"starts_at_1": "00:00", "ends_at_1": "00:00"}
    early = {"starts_at_0": "2025-09-02", "ends_at_0": "2025-09-01", **times}
    refused = operator.post(url, change_form(experiment, **early))
    foreign = operator.post(url, change_form(experiment, on_end="variant", on_end_variant=other.pk))

    assert saved.status_code == 302
    experiment.refresh_from_db()
    assert (experiment.owner, experiment.tags, experiment.value_cap) == (
        "Growth",
        "summer mail",
        Decimal("9.5"),
    )
    assert "must be after the start" in refused.content.decode()
    assert "Select a valid choice" in foreign.content.decode()


def test_admin__help_texts__are_the_words_of_the_settings_page(operator: Client) -> None:
    experiment = make_running()

    page = operator.get(f"/admin/experiments/experiment/{experiment.pk}/change/").content.decode()

    helps = [re.sub(r"<[^>]*>", " ", text) for text in re.findall(r'(?s)class="help"[^>]*>(.*?)</div>', page)]
    assert any("For “A chosen variant gets all traffic”." in text for text in helps)
    assert [text for text in helps if re.search(r"(starts|ends|on|complete)_(at|end|when)", text)] == []


def test_admin__list_by_tag__finds_its_experiments(operator: Client) -> None:
    make_running("Tagged", tags="summer mail")
    make_running("Other", tags="summery")

    page = operator.get("/admin/experiments/experiment/?tag=summer").content.decode()

    assert ">Tagged</a>" in page
    assert ">Other</a>" not in page


def test_admin__notes_and_guards__are_added_changed_and_deleted(operator: Client) -> None:
    experiment = make_running()
    url = f"/admin/experiments/experiment/{experiment.pk}/change/"
    note = {"notes-TOTAL_FORMS": 1, "notes-0-date": "2025-09-01", "notes-0-text": "Sale"}
    guard = {
        "guards-TOTAL_FORMS": 1,
        "guards-0-metric": "ctr",
        "guards-0-max_fall": 5,
        "guards-0-action": "act",
    }

    assert operator.post(url, change_form(experiment, **note, **guard)).status_code == 302
    kept = experiment.guards.get()
    known = {"guards-INITIAL_FORMS": 1, "guards-0-id": kept.pk}
    assert (experiment.notes.get().author, str(kept)) == ("op", "Click-through rate (CTR): 5%")

    changed = {**guard, **known, "guards-0-max_fall": 7.5}
    assert operator.post(url, change_form(experiment, **changed)).status_code == 302
    assert experiment.guards.get().max_fall == 7.5

    wrong = {**guard, **known, "guards-0-max_fall": 100}
    assert "above 0 and below 100" in operator.post(url, change_form(experiment, **wrong)).content.decode()

    gone = {**changed, "guards-0-DELETE": "on"}
    gone |= {"notes-TOTAL_FORMS": 1, "notes-INITIAL_FORMS": 1, "notes-0-id": experiment.notes.get().pk}
    assert operator.post(url, change_form(experiment, **gone, **{"notes-0-DELETE": "on"})).status_code == 302
    assert (experiment.guards.count(), experiment.notes.count()) == (0, 0)


def test_admin__completed_with_a_reason__keeps_it(operator: Client) -> None:
    experiment = make_running()

    operator.post(
        "/admin/experiments/experiment/",
        {"action": "complete", "_selected_action": [experiment.pk], "decision_reason": " Season is over "},
    )

    experiment.refresh_from_db()
    assert (experiment.status, experiment.decision_reason) == (Status.COMPLETED, "Season is over")


def test_admin_history__changes__are_shown_with_before_and_after_under_the_policy(operator: Client) -> None:
    experiment = make_running()
    operator.post(
        f"/admin/experiments/experiment/{experiment.pk}/change/",
        change_form(experiment, control_floor="0.3"),
    )

    response = operator.get(f"/admin/experiments/experiment/{experiment.pk}/history/")

    page = response.content.decode()
    assert "Minimum control share:" in page
    assert ">op<" in page or "op\n" in page
    assert "'unsafe-inline'" in response["Content-Security-Policy"]
    record = Experiment.history.latest("history_id")
    old = operator.get(f"/admin/experiments/experiment/{experiment.pk}/history/{record.pk}/")
    assert old.status_code == 200
    assert "'unsafe-inline'" not in operator.get("/admin/")["Content-Security-Policy"]


def test_admin_history__coded_reason__is_a_sentence(operator: Client) -> None:
    experiment = make_running()
    reason = coded("day.edited", date="2025-08-31", names=["control", "b"], more=0)
    record_history([experiment], reason=reason)

    page = operator.get(f"/admin/experiments/experiment/{experiment.pk}/history/").content.decode()

    assert "Day edited: 31 Aug 2025: control, b" in page
    assert "day.edited" not in page


def test_admin__experiment_and_dashboard__link_each_other(operator: Client) -> None:
    experiment = make_running()

    page = operator.get(f"/admin/experiments/experiment/{experiment.pk}/change/").content.decode()
    back = operator.get("/dashboard/experiments/button-colour/").content.decode()

    assert "/dashboard/experiments/button-colour/" in page
    assert f"/admin/experiments/experiment/{experiment.pk}/change/" in back
