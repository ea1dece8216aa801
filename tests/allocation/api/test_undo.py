"""POST /api/v1/experiments/{reference}/complete/undo/."""

import datetime as dt

import pytest
from rest_framework.test import APIClient

from experiments.models import Experiment
from tests.factory import NOW, allocate, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

ONE = "/api/v1/experiments/button-colour/"


def ended(api: APIClient) -> Experiment:
    experiment = make_running()
    allocate(experiment)
    body = {"winner": "variant_b", "decision_reason": "Sells more."}
    assert api.post(f"{ONE}complete/", body, format="json").status_code == 200
    return experiment


def test_complete__answer__says_when_by_whom_and_until_when_it_can_be_undone(api: APIClient) -> None:
    ended(api)

    answer = api.get(ONE).json()

    assert (answer["completed_at"], answer["undo_until"]) == ("2025-09-01T12:00:00Z", "2025-09-02T12:00:00Z")
    assert answer["completed_by"] == "no login"


def test_complete__without_a_reason__is_still_taken(api: APIClient) -> None:
    make_running()

    assert api.post(f"{ONE}complete/", {}, format="json").json()["decision_reason"] == ""


def test_undo__within_a_day__answers_the_experiment_as_before(api: APIClient) -> None:
    ended(api)

    response = api.post(f"{ONE}complete/undo/")

    answer = response.json()
    assert (response.status_code, answer["status"], answer["winner"]) == (200, "active", None)
    assert (answer["completed_at"], answer["undo_until"], answer["decision_reason"]) == (None, None, "")


def test_undo__later__is_a_conflict_that_says_until_when(api: APIClient) -> None:
    ended(api)
    Experiment.objects.update(completed_at=NOW - dt.timedelta(days=2))

    response = api.post(f"{ONE}complete/undo/")

    assert (response.status_code, response.json()["code"]) == (409, "undo_expired")
    assert "until 2025-08-31 12:00 UTC" in response.json()["detail"]


def test_undo__experiment_that_runs__is_a_conflict(api: APIClient) -> None:
    make_running()

    response = api.post(f"{ONE}complete/undo/")

    assert (response.status_code, response.json()["code"]) == (409, "status_conflict")


def test_undo__with_an_idempotency_key__answers_the_same_again(api: APIClient) -> None:
    ended(api)

    first, again = (api.post(f"{ONE}complete/undo/", HTTP_IDEMPOTENCY_KEY="a") for _ in range(2))

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
