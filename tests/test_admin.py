"""The admin for operators: every page opens, changes go through the services, decisions cannot be edited."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from allocation.models import Allocation
from bandit_project.models import ApiKey
from experiments.models import DailyMetric, Experiment
from tests.factory import allocate, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("op", password="pw"))
    return client


def _change_form(experiment: Experiment, **changes: Any) -> dict[str, Any]:
    own = {name: "" if value is None else value for name, value in experiment.own_settings().items()}
    own["day_adjustment"] = "unknown"
    formset = {"variants-TOTAL_FORMS": 0, "variants-INITIAL_FORMS": 0}
    return {"name": experiment.name, "description": "", **own, **formset, **changes}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "experiments/experiment/",
        "experiments/dailymetric/",
        "allocation/allocation/",
        "bandit_project/apikey/",
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


def test_admin__api_key__is_made_shown_once_and_revoked(operator: Client) -> None:
    response = operator.post(
        "/admin/bandit_project/apikey/add/",
        {"name": "shop", "scope": "write", "expiry_date_0": "", "expiry_date_1": ""},
        follow=True,
    )

    assert "The API key for shop is: " in response.content.decode()
    key = ApiKey.objects.get()
    assert key.scope == "write"
    operator.post(
        f"/admin/bandit_project/apikey/{key.pk}/change/", {"name": "shop", "scope": "write", "revoked": "on"}
    )
    assert ApiKey.objects.get().revoked is True
