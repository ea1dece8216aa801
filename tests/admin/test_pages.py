"""Every page of the admin opens to those who may; decisions cannot be edited."""

import pytest
from django.test import Client

from allocation.models import Allocation
from experiments.models import DailyMetric, Experiment, Status
from tests.admin.forms import act, change_form, correction_of, metric_of, staff
from tests.factory import allocate, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


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
        "axes/accesslog/",
    ],
)
def test_admin__each_list__opens(operator: Client, path: str) -> None:
    allocate(make_running())

    assert operator.get(f"/admin/{path}").status_code == 200


def test_admin__list_that_nothing_writes_to__is_not_there(operator: Client) -> None:
    assert operator.get("/admin/axes/accessfailurelog/").status_code == 404


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("experiments/experiment/", "nothing"),
        ("experiments/experiment/", "variants"),
        ("experiments/experiment/", "+"),
        ("auth/user/", "logentry"),
        ("auth/group/", "user"),
    ],
)
def test_admin__reference_to_what_is_no_column__is_refused(operator: Client, path: str, name: str) -> None:
    assert operator.get(f"/admin/{path}", {"_to_field": name}).status_code == 400


def test_admin__reference_to_the_key__is_allowed(operator: Client) -> None:
    assert operator.get("/admin/experiments/experiment/", {"_to_field": "id"}).status_code == 200


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


def test_admin__ledger_and_counts__cannot_be_changed_or_deleted(operator: Client) -> None:
    allocation = allocate(make_running())

    assert operator.post(f"/admin/allocation/allocation/{allocation.pk}/delete/").status_code == 403
    assert (
        operator.post(f"/admin/allocation/allocation/{allocation.pk}/change/", {"reason": "x"}).status_code
        == 403
    )
    assert operator.post("/admin/allocation/allocation/add/").status_code == 403
    assert Allocation.objects.get().reason == allocation.reason


_LOOK = {"viewer": 200, "analyst": 200, "admin": 200}


_EDIT = {"viewer": 403, "analyst": 302, "admin": 302}


_OWN = {"viewer": 403, "analyst": 403, "admin": 200}


@pytest.mark.parametrize("role", ["viewer", "analyst", "admin"])
def test_admin_roles__who_may_do_what__is_the_table(role: str) -> None:
    experiment, client = make_running(), staff(role)
    allocation, metric = allocate(experiment), metric_of()
    one = f"/admin/experiments/experiment/{experiment.pk}/change/"
    day = f"/admin/experiments/dailymetric/{metric.pk}/change/"

    for path in (
        one, day, f"/admin/allocation/allocation/{allocation.pk}/change/",
        f"/admin/experiments/experiment/{experiment.pk}/history/", "/admin/notifications/alarm/",
        "/admin/experiments/dailymetric/export/",
    ):  # fmt: skip
        assert client.get(path).status_code == _LOOK[role], path
    assert client.post(one, change_form(experiment, name="x")).status_code == _EDIT[role]
    assert client.post(day, correction_of(metric, clicks=1)).status_code == _EDIT[role]
    assert client.get(f"/admin/experiments/experiment/{experiment.pk}/delete/").status_code == 403
    for path in (
        "notifications/delivery/", "auth/user/", "axes/accessattempt/",
    ):  # fmt: skip
        assert client.get(f"/admin/{path}").status_code == _OWN[role], path
    experiments = client.get("/admin/experiments/experiment/").content.decode()
    assert ('value="pause"' in experiments) is (role != "viewer")


def test_admin__action_of_a_viewer__does_nothing() -> None:
    experiment = make_running()

    act(staff("viewer"), "pause", experiment)

    assert Experiment.objects.get().status == Status.ACTIVE


def test_admin__ledger_entry__shows_shares_and_inputs_legibly(operator: Client) -> None:
    allocation = allocate(make_running())

    page = operator.get(f"/admin/allocation/allocation/{allocation.pk}/change/").content.decode()

    assert "70.00%" in page
    assert "Minimum control share: 0.1" in page
    assert "&quot;days_with_data&quot;: 1" in page
    assert "/dashboard/experiments/button-colour/traffic/" in page
