"""Idempotency keys: a write that is sent again happens once."""

import datetime as dt
import io
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.test import APIClient

from experiments.api.idempotency import KEPT_FOR, prune_idempotent_answers
from experiments.models import Experiment, IdempotentAnswer
from tests.experiments.api.answers import V1
from tests.factory import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


def test_idempotency_key__another_body__is_422_and_nothing_happens(api: APIClient) -> None:
    headers = {"Idempotency-Key": "one"}
    api.post(f"{V1}/experiments/", {"name": "A"}, headers=headers)

    response = api.post(f"{V1}/experiments/", {"name": "B"}, headers=headers)

    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert Experiment.objects.count() == 1


def test_idempotency_key__replayed_creation__keeps_status_and_location(api: APIClient) -> None:
    headers = {"Idempotency-Key": "one"}

    answers = [api.post(f"{V1}/experiments/", {"name": "A"}, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0]["Location"] == answers[1]["Location"]
    assert answers[0].json() == answers[1].json()
    assert Experiment.objects.count() == 1


def test_idempotency_key__refused_request__may_be_corrected_under_the_same_key(api: APIClient) -> None:
    headers = {"Idempotency-Key": "one"}

    assert api.post(f"{V1}/experiments/", {"name": ""}, headers=headers).status_code == 422
    assert api.post(f"{V1}/experiments/", {"name": "A"}, headers=headers).status_code == 201


def test_idempotency_key__stored__as_digest_and_answer_without_the_request(api: APIClient) -> None:
    api.post(f"{V1}/experiments/", {"name": "Secret name"}, headers={"Idempotency-Key": "one"})

    stored = IdempotentAnswer.objects.get()
    assert len(stored.request_digest) == 64
    assert stored.status_code == 201


def test_idempotency_key__database_away_or_locked__is_503_as_without_one(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("django.db.transaction.atomic", down)

    response = api.post("/api/v1/experiments/", {"name": "Checkout"}, headers={"Idempotency-Key": "1"})

    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert response["Retry-After"] == "5"


class _Body(io.BytesIO):
    """A body as a client sends it; it records how deep in transactions each part was read, and may lack its end."""

    def __init__(self, content: bytes, *, hangs_up: bool = False) -> None:
        super().__init__(content)
        self.depths: set[int] = set()
        self.hangs_up = hangs_up

    def read(self, size: int | None = -1, /) -> bytes:
        if self.hangs_up:
            raise OSError("connection reset")
        self.depths.add(len(connection.savepoint_ids))
        return super().read(size)


def _send(api: APIClient, body: _Body, headers: dict[str, str]) -> Any:
    more: dict[str, Any] = {"wsgi.input": body, "CONTENT_LENGTH": str(len(body.getvalue()))}
    return api.generic(
        "POST", f"{V1}/experiments/", "", content_type="application/json", headers=headers, **more
    )


def test_idempotency_key__slow_body__is_read_before_anything_is_locked(api: APIClient) -> None:
    body = _Body(b'{"name": "Checkout"}')

    response = _send(api, body, {"Idempotency-Key": "1"})

    assert (response.status_code, body.depths) == (201, {0})


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "1"}])
def test_body__client_hangs_up__is_no_fault_of_the_service(api: APIClient, headers: dict[str, str]) -> None:
    response = _send(api, _Body(b'{"name": "Checkout"}', hangs_up=True), headers)

    assert (response.status_code, response.json()["code"]) == (400, "bad_request")


@pytest.mark.skipif(connection.vendor == "postgresql", reason="PostgreSQL keeps its locks itself")
def test_idempotency_key__nowhere_to_lock__is_503_and_nothing_is_written(
    api: APIClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bandit-locks-77").touch()  # a file where the folder of the locks would be
    monkeypatch.setattr("os.getuid", lambda: 77)
    monkeypatch.setitem(connection.settings_dict, "NAME", str(tmp_path / "moved.sqlite3"))

    response = api.post(f"{V1}/experiments/", {"name": "Checkout"}, headers={"Idempotency-Key": "1"})

    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert not Experiment.objects.exists()


def test_idempotency_key__after_a_day__is_free_again_and_pruned(api: APIClient) -> None:
    headers = {"Idempotency-Key": "one"}
    api.post(f"{V1}/experiments/", {"name": "A"}, headers=headers)
    IdempotentAnswer.objects.update(created_at=NOW - KEPT_FOR - dt.timedelta(seconds=1))

    assert api.post(f"{V1}/experiments/", {"name": "B"}, headers=headers).status_code == 201
    IdempotentAnswer.objects.update(created_at=NOW - KEPT_FOR - dt.timedelta(seconds=1))
    assert prune_idempotent_answers(now=NOW) == 1


def test_idempotency_key__caller_without_a_key__begins_no_transaction(
    api: APIClient, settings: Settings
) -> None:
    settings.API_KEY_REQUIRED = True
    headers = {"Idempotency-Key": "one", "Authorization": "Api-Key wrong.key"}

    with CaptureQueriesContext(connection) as asked:
        response = api.post(f"{V1}/experiments/", {"name": "A"}, headers=headers)

    assert response.status_code == 401
    assert all(query["sql"].startswith("SELECT") for query in asked.captured_queries)
