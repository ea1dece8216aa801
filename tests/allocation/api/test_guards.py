"""/api/v1/ on guards that stop an experiment, its end, and the other metrics of its data."""

import datetime as dt

import pytest
from rest_framework.test import APIClient

from experiments.campaign.models import GuardAction
from experiments.models import Experiment
from tests.allocation.test_guards import DAY, make_guarded
from tests.factory import NOW, TODAY, allocate, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

V1 = "/api/v1/experiments"


def resume(api: APIClient, experiment: Experiment) -> tuple[int, dict[str, object]]:
    response = api.post(f"{V1}/{experiment.key}/guards/resume/")
    return response.status_code, response.json()


def test_get_allocation__stopped_by_a_guard__says_so(api: APIClient) -> None:
    experiment = make_guarded()
    allocate(experiment)

    body = api.get(f"{V1}/{experiment.key}/allocation/").json()

    assert body["kind"] == "guard"
    assert body["harms"] == [{"metric": "conversion_rate", "variant": "b", "max_fall": 5.0, "action": "act"}]
    assert [share["share"] for share in body["shares"]] == [1, 0]


def test_resume__stopped_by_a_guard__splits_again_and_records_the_person(api: APIClient) -> None:
    experiment = make_guarded()
    allocate(experiment, TODAY - DAY)

    code, body = resume(api, experiment)

    assert (code, body["kind"]) == (200, "optimized")
    record = Experiment.history.first()
    assert record is not None
    assert record.guards_since == TODAY
    assert record.history_change_reason == '{"event": "guard.resumed"}'


def test_resume__not_stopped__is_409_with_the_reason(api: APIClient) -> None:
    experiment = make_guarded(GuardAction.TELL)
    allocate(experiment)

    code, body = resume(api, experiment)

    assert (code, body["code"]) == (409, "not_stopped_by_guard")


@pytest.mark.parametrize(
    ("ends_at", "expected"),
    [(None, "2025-09-02T00:00:00Z"), (NOW + dt.timedelta(hours=1), "2025-09-01T13:00:00Z")],
)
def test_allocation__expires__at_the_next_midnight_or_at_its_end(
    api: APIClient, ends_at: dt.datetime | None, expected: str
) -> None:
    url = f"{V1}/{make_running(ends_at=ends_at).key}/allocation/"

    computed, in_force = api.post(url).json(), api.get(url).json()

    assert (computed["expires_at"], in_force["expires_at"]) == (expected, expected)


def test_get_allocation__completed__never_expires(api: APIClient) -> None:
    experiment = make_running()
    api.post(f"{V1}/{experiment.key}/complete/")

    assert api.get(f"{V1}/{experiment.key}/allocation/").json()["expires_at"] is None


def test_statistics__other_metrics__have_rates_and_uplifts(api: APIClient) -> None:
    experiment = make_guarded()

    body = api.get(f"{V1}/{experiment.key}/statistics/").json()

    assert [found["metric"] for found in body["secondary"]] == ["conversion_rate", "click_conversion_rate"]
    control, b = body["secondary"][0]["variants"]
    assert (control["uplift"], b["uplift"]) == (None, pytest.approx(-0.5, abs=0.01))
    assert b["uplift_always_valid"]["high"] < -0.05
    # a guard that warns blocks "decided"
    assert body["state"] == "leader"
