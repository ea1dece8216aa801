"""OFREP: one row of the protocol's table after the other, on the wire."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.test import APIClient

from allocation.engine.assignment import assign
from allocation.models import Allocation, AllocationShare
from allocation.services import complete_experiment
from experiments.models import Experiment, Status, Variant
from experiments.services import archive_experiment, change_status
from experiments.variants import change_variant
from serving import snapshot
from tests.factory import NOW, TODAY, allocate, make_experiment, make_running, shares_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

BULK = "/ofrep/v1/evaluate/flags"


@pytest.fixture(autouse=True)
def keys_required(settings: Settings) -> None:
    settings.API_KEY_REQUIRED = True


def evaluate(client: APIClient, key: str, unit: Any = "visitor-42") -> Any:
    response = client.post(f"{BULK}/{key}", {"context": {"targetingKey": unit}})
    return response


def bulk(client: APIClient, unit: Any = "visitor-42", **headers: Any) -> Any:
    response = client.post(BULK, {"context": {"targetingKey": unit}}, headers=headers)
    return response


def test_evaluation__active__is_the_split_with_its_propensity(shop: APIClient) -> None:
    experiment = make_running()
    allocation = allocate(experiment)
    shares = shares_of(allocation)
    variant = assign(experiment.key, shares, "visitor-42")

    response = evaluate(shop, experiment.key)

    assert response.status_code == 200
    assert response.json() == {
        "key": "button-colour",
        "value": variant,
        "variant": variant,
        "reason": "SPLIT",
        "metadata": {
            "experiment": "button-colour",
            "allocation": allocation.pk,
            "share": shares[variant],
            "targetDate": "2025-09-01",
            "expiresAt": "2025-09-02T00:00:00+00:00",
        },
    }


def test_evaluation__many_visitors__get_what_assignment_gives(shop: APIClient) -> None:
    experiment = make_running()
    shares = shares_of(allocate(experiment))
    units = [f"visitor-{n}" for n in range(30)]

    given = [evaluate(shop, experiment.key, unit).json()["variant"] for unit in units]

    assert given == [assign(experiment.key, shares, unit) for unit in units]
    assert set(given) == set(shares)


def test_evaluation__paused__keeps_the_last_split(shop: APIClient) -> None:
    experiment = make_running()
    allocation = allocate(experiment)
    before = evaluate(shop, experiment.key).json()

    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)

    after = evaluate(shop, experiment.key).json()
    assert after["reason"] == "SPLIT"
    assert after["variant"] == before["variant"]
    assert after["metadata"]["allocation"] == allocation.pk
    # no newer decision is due
    assert "expiresAt" not in after["metadata"]


@pytest.mark.parametrize(("winner", "shown"), [("variant_b", "variant_b"), (None, "control")])
def test_evaluation__completed__is_static_with_the_winner_else_the_control(
    shop: APIClient, winner: str | None, shown: str
) -> None:
    experiment = make_running()
    allocate(experiment)
    winner_id = experiment.variants.get(name=winner).pk if winner else None
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=winner_id)

    body = evaluate(shop, experiment.key).json()

    assert (body["variant"], body["reason"], body["metadata"]["share"]) == (shown, "STATIC", 1.0)


def test_evaluation__active_with_all_traffic_by_another_kind_of_decision__is_static(shop: APIClient) -> None:
    experiment = make_running()
    allocation = allocate(experiment)
    Allocation.objects.filter(pk=allocation.pk).update(kind="completed")
    for name, share in (("control", 1), ("variant_b", 0)):
        AllocationShare.objects.filter(allocation=allocation, variant__name=name).update(share=share)

    body = evaluate(shop, experiment.key).json()

    assert (body["variant"], body["reason"]) == ("control", "STATIC")


def test_evaluation__nothing_allocated_yet__is_an_even_split(shop: APIClient) -> None:
    experiment = make_running()

    bodies = [evaluate(shop, experiment.key, f"visitor-{n}").json() for n in range(20)]

    assert {body["reason"] for body in bodies} == {"SPLIT"}
    assert {body["variant"] for body in bodies} == {"control", "variant_b"}
    assert bodies[0]["metadata"] == {"experiment": "button-colour", "share": 0.5}


def test_evaluation__yesterdays_decision_is_the_last__stays_in_force(shop: APIClient) -> None:
    experiment = make_running()
    allocation = allocate(experiment, TODAY - dt.timedelta(days=1))

    metadata = evaluate(shop, experiment.key).json()["metadata"]

    assert (metadata["allocation"], metadata["targetDate"]) == (allocation.pk, "2025-08-31")
    assert metadata["expiresAt"] == "2025-09-01T00:00:00+00:00"


def test_evaluation__tomorrows_decision__waits_for_its_day(shop: APIClient) -> None:
    experiment = make_running()
    allocation = allocate(experiment)
    allocate(experiment, TODAY + dt.timedelta(days=1))

    assert evaluate(shop, experiment.key).json()["metadata"]["allocation"] == allocation.pk


def test_evaluation__draft_archived_unknown_or_without_variants__is_flag_not_found(shop: APIClient) -> None:
    draft = make_experiment("Draft", status=Status.DRAFT)
    archived = make_running("Archived")
    complete_experiment(experiment_id=archived.pk, target_date=TODAY, now=NOW)
    archive_experiment(experiment_id=archived.pk, now=NOW)
    empty = make_experiment("Empty", status=Status.ACTIVE)

    for key in (draft.key, archived.key, empty.key, "unknown", "with a space", "a/b", "x" * 300):
        response = evaluate(shop, key)
        body = response.json()
        assert (response.status_code, body["key"], body["errorCode"]) == (404, key[:255], "FLAG_NOT_FOUND")
        assert "no such experiment" in body["errorDetails"]
    assert bulk(shop).json() == {"flags": []}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "TARGETING_KEY_MISSING"),
        ({"context": {}}, "TARGETING_KEY_MISSING"),
        ({"context": {"targetingKey": None}}, "TARGETING_KEY_MISSING"),
        ({"context": {"targetingKey": 7}}, "INVALID_CONTEXT"),
        ({"context": {"targetingKey": ""}}, "INVALID_CONTEXT"),
        ({"context": {"targetingKey": " "}}, "INVALID_CONTEXT"),
        ({"context": {"targetingKey": "\t\u00a0"}}, "INVALID_CONTEXT"),
        ({"context": {"targetingKey": "x" * 256}}, "INVALID_CONTEXT"),
        ({"context": "visitor"}, "INVALID_CONTEXT"),
        ([], "INVALID_CONTEXT"),
    ],
)
def test_evaluation__targeting_key_missing_or_wrong__is_400_with_the_code(
    shop: APIClient, body: Any, code: str
) -> None:
    experiment = make_running()

    single = shop.post(f"{BULK}/{experiment.key}", body)
    every = shop.post(BULK, body)

    assert (single.status_code, every.status_code) == (400, 400)
    assert single.json() == {"key": experiment.key, **every.json()}
    assert every.json()["errorCode"] == code
    assert every.json()["errorDetails"]


@pytest.mark.parametrize("raw", [b"{", b'{"context": {"targetingKey": "\\ud800"}}', b"[" * 5000, b"\xff\xfe"])
def test_evaluation__body_that_is_no_json__is_a_parse_error(shop: APIClient, raw: bytes) -> None:
    response: Any = shop.generic("POST", BULK, raw, content_type="application/json")  # type: ignore[arg-type]  # bytes are taken

    assert (response.status_code, response.json()["errorCode"]) == (400, "PARSE_ERROR")


@pytest.mark.parametrize("unit", ["x" * 255, "ü", "\U0001f600", " a ", "a\x00b"])
def test_evaluation__any_text_that_is_not_blank_as_targeting_key__is_served(
    shop: APIClient, unit: str
) -> None:
    experiment = make_running()

    assert evaluate(shop, experiment.key, unit).status_code == 200


def test_bulk__every_live_experiment__is_in_it_as_by_itself(shop: APIClient) -> None:
    first, second = make_running("A"), make_running("B")
    allocate(first)
    make_experiment("Draft", status=Status.DRAFT)

    flags = bulk(shop).json()["flags"]

    assert flags == [evaluate(shop, key).json() for key in (first.key, second.key)]


def test_bulk__etag_sent_back__is_304_until_something_changes(shop: APIClient) -> None:
    experiment = make_running()
    allocate(experiment)
    etag = bulk(shop)["ETag"]

    same = bulk(shop, **{"If-None-Match": f'"other", W/{etag}'})
    assert (same.status_code, same.content, same["ETag"]) == (304, b"", etag)
    # an ETag is of one visitor
    assert bulk(shop, "visitor-43", **{"If-None-Match": etag}).status_code == 200

    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)
    assert bulk(shop, **{"If-None-Match": etag}).status_code == 200


def test_bulk__unchanged__costs_one_query_and_reads_no_shares(shop: APIClient, settings: Settings) -> None:
    settings.API_KEY_REMEMBER_SECONDS = 60
    allocate(make_running())
    etag = bulk(shop)["ETag"]

    with CaptureQueriesContext(connection) as queries:
        assert bulk(shop, **{"If-None-Match": etag}).status_code == 304

    assert len(queries) == 1
    assert "share" not in queries[0]["sql"]


@pytest.mark.parametrize("change", ["allocate", "archive", "retire", "delete", "activate"])
def test_evaluation__change_by_another_process__is_seen_at_once(shop: APIClient, change: str) -> None:
    running, draft = make_running(), make_running("Draft")
    Experiment.objects.filter(pk=draft.pk).update(status=Status.DRAFT)
    before = bulk(shop).content
    later = NOW + dt.timedelta(seconds=1)

    if change == "allocate":
        allocate(running)
    elif change == "archive":
        complete_experiment(experiment_id=running.pk, target_date=TODAY, now=later)
        archive_experiment(experiment_id=running.pk, now=later)
    elif change == "retire":
        variant = Variant.objects.get(experiment=running, name="variant_b")
        change_variant(experiment_id=running.pk, variant_id=variant.pk, now=later, is_active=False)
    elif change == "delete":
        running.delete()
    else:
        change_status(experiment_id=draft.pk, to=Status.ACTIVE, now=later)

    assert bulk(shop).content != before


def test_snapshot__older_than_its_lifetime__is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that comes late may leave the version as it was."""
    clock = [100.0]
    monkeypatch.setattr("serving.snapshot.time.monotonic", lambda: clock[0])
    version = snapshot.read_version()
    first = snapshot.snapshot_of(version)

    assert snapshot.snapshot_of(version) is first
    clock[0] += 5.1
    assert snapshot.snapshot_of(version) is not first


def test_evaluation__throttled__is_429_with_retry_after_and_the_key(
    shop: APIClient, settings: Settings
) -> None:
    settings.THROTTLE_RATES = {"read": "1/min", "write": None}
    experiment = make_running()
    evaluate(shop, experiment.key)

    response = evaluate(shop, experiment.key)

    assert (response.status_code, response["Retry-After"]) == (429, "60")
    assert response["Content-Type"] == "application/json"
    assert response.json()["key"] == experiment.key
    assert response.json()["errorCode"] == "GENERAL"


def test_evaluation__without_a_key_or_with_a_wrong_one__is_401(api: APIClient) -> None:
    make_running()

    nobody = evaluate(api, "button-colour")
    api.credentials(HTTP_AUTHORIZATION="Bearer wrong.wrong")
    wrong = evaluate(api, "button-colour")

    assert (nobody.status_code, wrong.status_code) == (401, 401)
    assert nobody["WWW-Authenticate"] == wrong["WWW-Authenticate"] == "Api-Key"
    assert wrong.json()["errorDetails"].startswith("The API key is wrong, revoked or expired.")


def test_evaluation__fault_of_the_service__is_500_with_details(
    shop: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.raise_request_exception = False
    monkeypatch.setattr("serving.snapshot.Race", None)
    make_running()

    response = evaluate(shop, "button-colour")

    assert response.status_code == 500
    assert (response.json()["key"], response.json()["errorCode"]) == ("button-colour", "GENERAL")
    assert response.json()["errorDetails"]


def test_evaluation__get__is_405(shop: APIClient) -> None:
    response = shop.get(BULK)

    assert (response.status_code, response["Allow"]) == (405, "POST")


def test_evaluation__from_a_page_of_an_allowed_origin__may_read_the_etag(
    shop: APIClient, settings: Settings
) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://shop.example.com"]
    make_running()
    origin = {"Origin": "https://shop.example.com"}

    asked = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    preflight = shop.options(BULK, headers=asked)
    response = bulk(shop, **origin)

    assert "x-api-key" in preflight["Access-Control-Allow-Headers"]
    assert response["Access-Control-Allow-Origin"] == "https://shop.example.com"
    assert "etag" in response["Access-Control-Expose-Headers"].lower()


def test_evaluation__person_with_a_session__gets_the_answer_of_a_key(
    shop: APIClient, admin_client: Any
) -> None:
    make_running()
    body = {"context": {"targetingKey": "visitor-42"}}

    by_session = admin_client.post(f"{BULK}/button-colour", body, content_type="application/json")

    assert by_session.json() == evaluate(shop, "button-colour").json()
