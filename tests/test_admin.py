"""The admin for operators: every page opens, changes go through the services, decisions cannot be edited."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client

from allocation.models import Allocation
from experiments.models import DailyMetric, Experiment, Status
from tests.factory import allocate, make_experiment, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("op", password="pw"))
    return client


def _change_form(experiment: Experiment, **changes: Any) -> dict[str, Any]:
    own = {name: "" if value is None else value for name, value in experiment.own_settings().items()}
    own["day_adjustment"] = "unknown"
    formset = {
        f"{name}-{number}": 0
        for name in ("variants", "guards", "notes")
        for number in ("TOTAL_FORMS", "INITIAL_FORMS")
    }
    return {"name": experiment.name, "description": "", "on_end": "pause", **own, **formset, **changes}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "experiments/experiment/",
        "experiments/dailymetric/",
        "experiments/dailymetric/?experiment=button-colour",
        "experiments/dailymetric/?experiment=nobody",
        "allocation/allocation/",
        "allocation/allocation/?experiment=button-colour&kind__exact=optimized",
        "notifications/delivery/",
        "notifications/alarm/",
        "axes/accessattempt/",
    ],
)
def test_admin__each_list__opens(operator: Client, path: str) -> None:
    allocate(make_running())

    assert operator.get(f"/admin/{path}").status_code == 200


def test_admin__detail_pages__open(operator: Client) -> None:
    allocation = allocate(make_running())

    assert (
        operator.get(f"/admin/experiments/experiment/{allocation.experiment_id}/change/").status_code == 200
    )
    assert operator.get(f"/admin/allocation/allocation/{allocation.pk}/change/").status_code == 200
    assert (
        operator.get(f"/admin/experiments/dailymetric/{DailyMetric.objects.all()[0].pk}/change/").status_code
        == 200
    )


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
        _change_form(experiment, control_floor="0.3"),
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
        f"/admin/experiments/experiment/{experiment.pk}/change/", _change_form(experiment, **changes)
    )

    assert words in response.content.decode()
    assert Experiment.objects.get().control_floor is None


def test_admin__ledger_and_counts__cannot_be_changed_or_deleted(operator: Client) -> None:
    allocation = allocate(make_running())

    assert operator.post(f"/admin/allocation/allocation/{allocation.pk}/delete/").status_code == 403
    assert (
        operator.post(f"/admin/allocation/allocation/{allocation.pk}/change/", {"reason": "x"}).status_code
        == 403
    )
    assert operator.post("/admin/allocation/allocation/add/").status_code == 403
    assert Allocation.objects.get().reason == allocation.reason


def _metric(name: str = "control") -> DailyMetric:
    return DailyMetric.objects.get(variant__name=name)


def _correction(metric: DailyMetric, **changes: Any) -> dict[str, Any]:
    counts = {"impressions": metric.impressions, "clicks": metric.clicks, "conversions": metric.conversions}
    return {**counts, "reason": "wrong export", **changes}


def test_admin__wrong_day_corrected__names_who_and_why_and_counts(operator: Client) -> None:
    experiment = make_running()
    metric, before = _metric(), Experiment.objects.get().data_version

    response = operator.post(
        f"/admin/experiments/dailymetric/{metric.pk}/change/", _correction(metric, clicks=650)
    )

    assert response.status_code == 302, response.content
    assert _metric().clicks == 650
    assert Experiment.objects.get().data_version == before + 1
    record = Experiment.history.filter(id=experiment.pk).latest("history_id")
    assert record.history_user == "op"
    assert record.history_change_reason == (
        "control, 2025-09-01: 10000/700/0 became 10000/650/0. wrong export"
    )
    assert "wrong export" in operator.get("/dashboard/experiments/button-colour/history/").content.decode()


def test_admin__day_of_a_renamed_variant_corrected__is_told_under_its_name(operator: Client) -> None:
    experiment = make_running()
    experiment.variants.filter(key="variant_b").update(name="green")
    metric = _metric("green")

    operator.post(f"/admin/experiments/dailymetric/{metric.pk}/change/", _correction(metric, clicks=900))

    record = Experiment.history.filter(id=experiment.pk).latest("history_id")
    assert record.history_change_reason.startswith("green, 2025-09-01: 10000/950/0 became 10000/900/0.")
    assert _metric("green").clicks == 900
    assert experiment.variants.count() == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clicks": 10001}, "clicks (10001) must not exceed impressions (10000)"),
        ({"impressions": -1, "clicks": -1, "conversions": -1}, "impressions must be from 0 to"),
        ({"reason": ""}, "This field is required"),
    ],
)
def test_admin__impossible_correction__is_refused_on_the_form(
    operator: Client, changes: dict[str, Any], words: str
) -> None:
    make_running()
    metric = _metric()

    response = operator.post(
        f"/admin/experiments/dailymetric/{metric.pk}/change/", _correction(metric, **changes)
    )

    assert words in response.content.decode()
    assert _metric().clicks == 700


@pytest.mark.parametrize(("language", "stored"), [("pt-br", 9000), ("en", 10000)])
def test_admin__correction_with_a_point__is_read_in_the_pages_language(
    operator: Client, language: str, stored: int
) -> None:
    make_running()
    metric = DailyMetric.objects.get(variant__name="control")
    url = f"/admin/experiments/dailymetric/{metric.pk}/change/"

    operator.post(url, _correction(metric, impressions="9.000"), headers={"accept-language": language})

    assert DailyMetric.objects.get(pk=metric.pk).impressions == stored


@pytest.mark.parametrize(
    ("language", "typed", "stored"),
    [("pt-br", "10.000", 10_000), ("pt-br", "12,50", 12.5), ("en", "10,000", 10_000), ("en", "10.000", 2000)],
)
def test_admin__amounts__are_read_in_the_pages_language(
    operator: Client, language: str, typed: str, stored: float
) -> None:
    experiment = make_running(value_cap=Decimal(2000), reward="value_per_impression")
    totals = DailyMetric.objects.filter(variant__name="control")
    totals.update(conversions=10, value_sum=2000, value_squares=1_000_000)
    metric = totals.get()
    values = {"value_sum": typed, "value_squares": "100.000.000" if language == "pt-br" else "100,000,000"}

    operator.post(
        f"/admin/experiments/dailymetric/{metric.pk}/change/",
        _correction(metric, **values),
        headers={"accept-language": language},
    )
    operator.post(
        f"/admin/experiments/experiment/{experiment.pk}/change/",
        _change_form(experiment, reward=experiment.reward, value_cap=typed),
        headers={"accept-language": language},
    )

    experiment.refresh_from_db()
    assert [totals.get().value_sum, experiment.value_cap] == [Decimal(stored)] * 2


def test_admin__correction_of_a_completed_experiment__tells_the_services_refusal(operator: Client) -> None:
    experiment = make_running()
    Experiment.objects.filter(pk=experiment.pk).update(status=Status.COMPLETED)
    metric = _metric()

    response = operator.post(
        f"/admin/experiments/dailymetric/{metric.pk}/change/", _correction(metric, clicks=1), follow=True
    )

    assert "is completed and takes no events" in response.content.decode()
    assert _metric().clicks == 700


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("", "/dashboard/"),
        ("?experiment=button-colour", "/dashboard/experiments/button-colour/data/upload/"),
        ("?experiment=nothing", "/dashboard/"),
    ],
)
def test_admin_metrics__upload__leads_to_the_dashboard(operator: Client, query: str, target: str) -> None:
    make_running()

    page = operator.get(f"/admin/experiments/dailymetric/{query}").content.decode()

    assert f'<a href="{target}">Upload CSV</a>' in page
    assert f'<a href="/admin/experiments/dailymetric/export/{query or "?"}">Download CSV</a>' in page


def test_admin_metrics__of_a_viewer__offers_no_upload() -> None:
    page = _staff("viewer").get("/admin/experiments/dailymetric/").content.decode()

    assert "Download CSV" in page
    assert "Upload CSV" not in page


def test_admin_export__filtered__is_the_file_that_the_upload_takes(operator: Client) -> None:
    make_running()
    make_running("Other")

    response = operator.get("/admin/experiments/dailymetric/export/?experiment=other")

    assert b"".join(response.streaming_content).decode().splitlines() == [  # type: ignore[attr-defined]
        "experiment_id,date,variant_name,impressions,clicks,conversions",
        "other,2025-09-01,control,10000,700,0",
        "other,2025-09-01,variant_b,10000,950,0",
    ]


def _act(client: Client, action: str, *experiments: Experiment) -> str:
    chosen = [experiment.pk for experiment in experiments]
    response = client.post(
        "/admin/experiments/experiment/", {"action": action, "_selected_action": chosen}, follow=True
    )
    return response.content.decode()


def test_admin_actions__each_experiment__gets_its_own_message(operator: Client) -> None:
    running, draft = make_running(), make_experiment("Draft", status=Status.DRAFT)

    page = _act(operator, "pause", running, draft)

    assert "Button colour: Paused" in page
    assert "is draft; it can become active" in page
    assert set(Experiment.objects.values_list("status", flat=True)) == {"paused", "draft"}


def test_admin_actions__recompute_and_complete__go_through_the_services(operator: Client) -> None:
    running = make_running()

    assert "Decided again" in _act(operator, "recompute", running)
    assert "Nothing has changed" in _act(operator, "recompute", running)
    assert "Completed." in _act(operator, "complete", running)
    assert Experiment.objects.get().status == Status.COMPLETED
    assert "stays so" in _act(operator, "pause", running)


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

    assert operator.post(url, _change_form(experiment, **forms)).status_code == 302
    assert list(experiment.variants.values_list("key", "name", "is_active")) == [
        ("control", "control", True), ("variant_b", "green", False), ("blue", "blue", True),
    ]  # fmt: skip

    del forms["variants-0-is_active"]
    forms |= {"variants-TOTAL_FORMS": 2}
    page = operator.post(url, _change_form(experiment, **forms), follow=True).content.decode()
    assert "The control cannot be retired" in page
    assert experiment.variants.get(name="control").is_active


def test_admin__campaign__is_saved_by_the_service_and_checked(operator: Client) -> None:
    experiment = make_running()
    url = f"/admin/experiments/experiment/{experiment.pk}/change/"
    other = make_running("Other").variants.get(name="variant_b")

    saved = operator.post(url, _change_form(experiment, owner="Growth", tags="Summer  mail", value_cap="9.5"))
    times = {"starts_at_1": "00:00", "ends_at_1": "00:00"}
    early = {"starts_at_0": "2025-09-02", "ends_at_0": "2025-09-01", **times}
    refused = operator.post(url, _change_form(experiment, **early))
    foreign = operator.post(url, _change_form(experiment, on_end="variant", on_end_variant=other.pk))

    assert saved.status_code == 302
    experiment.refresh_from_db()
    assert (experiment.owner, experiment.tags, experiment.value_cap) == (
        "Growth",
        "summer mail",
        Decimal("9.5"),
    )
    assert "must be after starts_at" in refused.content.decode()
    assert "Select a valid choice" in foreign.content.decode()


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

    assert operator.post(url, _change_form(experiment, **note, **guard)).status_code == 302
    kept = experiment.guards.get()
    known = {"guards-INITIAL_FORMS": 1, "guards-0-id": kept.pk}
    assert (experiment.notes.get().author, str(kept)) == ("op", "Clicks per impression: 5%")

    changed = {**guard, **known, "guards-0-max_fall": 7.5}
    assert operator.post(url, _change_form(experiment, **changed)).status_code == 302
    assert experiment.guards.get().max_fall == 7.5

    wrong = {**guard, **known, "guards-0-max_fall": 100}
    assert "above 0 and below 100" in operator.post(url, _change_form(experiment, **wrong)).content.decode()

    gone = {**changed, "guards-0-DELETE": "on"}
    gone |= {"notes-TOTAL_FORMS": 1, "notes-INITIAL_FORMS": 1, "notes-0-id": experiment.notes.get().pk}
    assert operator.post(url, _change_form(experiment, **gone, **{"notes-0-DELETE": "on"})).status_code == 302
    assert (experiment.guards.count(), experiment.notes.count()) == (0, 0)


def test_admin__completed_with_a_reason__keeps_it(operator: Client) -> None:
    experiment = make_running()

    operator.post(
        "/admin/experiments/experiment/",
        {"action": "complete", "_selected_action": [experiment.pk], "decision_reason": " Season is over "},
    )

    experiment.refresh_from_db()
    assert (experiment.status, experiment.decision_reason) == (Status.COMPLETED, "Season is over")


def test_admin__values_corrected__are_checked_and_told(operator: Client) -> None:
    experiment, metric = make_running(), _metric()
    url = f"/admin/experiments/dailymetric/{metric.pk}/change/"

    refused = operator.post(url, _correction(metric, conversions=2, value_sum="42.5"))
    operator.post(url, _correction(metric, conversions=2, value_sum="42.5", value_squares="1056.25"))

    assert "value_squares is needed beside value_sum (42.5)" in refused.content.decode()
    assert (_metric().value_sum, _metric().value_squares) == (Decimal("42.5"), 1056.25)
    record = Experiment.history.filter(id=experiment.pk).latest("history_id")
    assert record.history_change_reason == (
        "control, 2025-09-01: 10000/700/0 became 10000/700/2/42.5/1056.25. wrong export"
    )


def test_admin_history__changes__are_shown_with_before_and_after_under_the_policy(operator: Client) -> None:
    experiment = make_running()
    operator.post(
        f"/admin/experiments/experiment/{experiment.pk}/change/",
        _change_form(experiment, control_floor="0.3"),
    )

    response = operator.get(f"/admin/experiments/experiment/{experiment.pk}/history/")

    page = response.content.decode()
    assert "Control floor:" in page
    assert ">op<" in page or "op\n" in page
    assert "'unsafe-inline'" in response["Content-Security-Policy"]
    record = Experiment.history.latest("history_id")
    old = operator.get(f"/admin/experiments/experiment/{experiment.pk}/history/{record.pk}/")
    assert old.status_code == 200
    assert "'unsafe-inline'" not in operator.get("/admin/")["Content-Security-Policy"]


def test_admin__experiment_and_dashboard__link_each_other(operator: Client) -> None:
    experiment = make_running()

    page = operator.get(f"/admin/experiments/experiment/{experiment.pk}/change/").content.decode()
    back = operator.get("/dashboard/experiments/button-colour/").content.decode()

    assert "/dashboard/experiments/button-colour/" in page
    assert f"/admin/experiments/experiment/{experiment.pk}/change/" in back


def _staff(role: str) -> Client:
    person = get_user_model().objects.create_user(role, password="pw", is_staff=True)
    person.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(person)
    return client


_LOOK = {"viewer": 200, "analyst": 200, "admin": 200}
_EDIT = {"viewer": 403, "analyst": 302, "admin": 302}
_OWN = {"viewer": 403, "analyst": 403, "admin": 200}


@pytest.mark.parametrize("role", ["viewer", "analyst", "admin"])
def test_admin_roles__who_may_do_what__is_the_table(role: str) -> None:
    experiment, client = make_running(), _staff(role)
    allocation, metric = allocate(experiment), _metric()
    one = f"/admin/experiments/experiment/{experiment.pk}/change/"
    day = f"/admin/experiments/dailymetric/{metric.pk}/change/"

    for path in (
        one, day, f"/admin/allocation/allocation/{allocation.pk}/change/",
        f"/admin/experiments/experiment/{experiment.pk}/history/", "/admin/notifications/alarm/",
        "/admin/experiments/dailymetric/export/",
    ):  # fmt: skip
        assert client.get(path).status_code == _LOOK[role], path
    assert client.post(one, _change_form(experiment, name="x")).status_code == _EDIT[role]
    assert client.post(day, _correction(metric, clicks=1)).status_code == _EDIT[role]
    assert client.get(f"/admin/experiments/experiment/{experiment.pk}/delete/").status_code == 403
    for path in (
        "notifications/delivery/", "auth/user/", "axes/accessattempt/",
    ):  # fmt: skip
        assert client.get(f"/admin/{path}").status_code == _OWN[role], path
    experiments = client.get("/admin/experiments/experiment/").content.decode()
    assert ('value="pause"' in experiments) is (role != "viewer")


def test_admin__action_of_a_viewer__does_nothing() -> None:
    experiment = make_running()

    _act(_staff("viewer"), "pause", experiment)

    assert Experiment.objects.get().status == Status.ACTIVE


def test_admin__ledger_entry__shows_shares_and_inputs_legibly(operator: Client) -> None:
    allocation = allocate(make_running())

    page = operator.get(f"/admin/allocation/allocation/{allocation.pk}/change/").content.decode()

    assert "70.00%" in page
    assert "control_floor 0.1" in page
    assert "&quot;days_with_data&quot;: 1" in page
    assert "/dashboard/experiments/button-colour/traffic/" in page


def test_admin_calendar__empty_and_filled__offers_what_lies_between(operator: Client) -> None:
    assert operator.get("/admin/experiments/dailymetric/").status_code == 200
    make_running()

    page = operator.get("/admin/experiments/dailymetric/?date__year=2025&date__month=9").content.decode()

    assert "September 1" in page
