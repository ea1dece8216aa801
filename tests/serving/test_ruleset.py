"""The rule set: one document from which any client assigns as the service does."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings
from rest_framework.test import APIClient

from allocation.engine.assignment import assign
from allocation.services import complete_experiment
from experiments.models import Status
from experiments.services import change_status
from serving.snapshot import PARTS, _even, _Variant
from tests.factory import NOW, TODAY, allocate, make_experiment, make_running, shares_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

PATH = "/api/v1/ruleset/"


@pytest.fixture(autouse=True)
def keys_required(settings: Settings) -> None:
    settings.API_KEY_REQUIRED = True


def _rule(key: str, allocation: int | None, shares: dict[str, int], **fields: Any) -> dict[str, Any]:
    """Return the rule of an experiment that counts, has nothing decided and falls back to its control."""
    rule = {"key": key, "status": key[2:], "allocation": allocation, "shares": shares, "target_date": None}
    return {**rule, "expires_at": None, "fallback": "control", "counts": True, **fields}


def test_rule_set__parameter_that_it_does_not_know__is_refused_with_a_key_and_without(
    shop: APIClient, api: APIClient, settings: Settings
) -> None:
    settings.API_KEY_REQUIRED = False

    for caller in (shop, api):
        response = caller.get(f"{PATH}?experiment=button")
        assert response.status_code == 422
        assert response.json()["errors"][0]["code"] == "unknown_parameter"


def test_rule_set__experiments_of_each_status__are_in_it_but_drafts(shop: APIClient) -> None:
    active, paused, completed = (make_running(name) for name in ("C active", "B paused", "A completed"))
    make_experiment("Draft", status=Status.DRAFT)
    decided = allocate(active)
    change_status(experiment_id=paused.pk, to=Status.PAUSED, now=NOW)
    final = complete_experiment(
        experiment_id=completed.pk,
        target_date=TODAY,
        now=NOW,
        winner_id=completed.variants.get(name="variant_b").pk,
    )
    assert final is not None
    shares = {name: round(share * 10_000) for name, share in shares_of(decided).items()}

    response = shop.get(PATH)

    assert response["Cache-Control"] == "private, max-age=60"
    day = {"target_date": "2025-09-01"}
    assert response.json() == {
        "version": 1,
        "date": "2025-09-01",
        "time_zone": "UTC",
        "experiments": [
            _rule("a-completed", final.pk, {"variant_b": 10_000}, fallback="variant_b", counts=False, **day),
            _rule("b-paused", None, {"control": 5000, "variant_b": 5000}),
            _rule("c-active", decided.pk, shares, expires_at="2025-09-02T00:00:00+00:00", **day),
        ],
    }
    assert sum(shares.values()) == 10_000


def test_rule_set__assigned_locally__is_what_the_service_assigns(shop: APIClient) -> None:
    allocate(make_running())
    rules = shop.get(PATH).json()["experiments"][0]
    shares = {key: parts / 10_000 for key, parts in rules["shares"].items()}

    for unit in (f"visitor-{n}" for n in range(50)):
        flag = shop.post(
            f"/ofrep/v1/evaluate/flags/{rules['key']}", {"context": {"targetingKey": unit}}
        ).json()
        assert flag["variant"] == assign(rules["key"], shares, unit)


def test_rule_set__unchanged__is_304_for_one_query(shop: APIClient, settings: Settings) -> None:
    settings.API_KEY_REMEMBER_SECONDS = 60
    allocate(make_running())
    etag = shop.get(PATH)["ETag"]

    with CaptureQueriesContext(connection) as queries:
        response = shop.get(PATH, headers={"If-None-Match": etag})

    assert (response.status_code, response.content, len(queries)) == (304, b"", 1)
    assert (response["ETag"], response["Cache-Control"]) == (etag, "private, max-age=60")


def test_rule_set__new_counts__change_nothing_and_read_nothing_again(
    shop: APIClient, settings: Settings
) -> None:
    settings.API_KEY_REMEMBER_SECONDS = 60
    experiment = make_running()
    allocate(experiment)
    etag = shop.get(PATH)["ETag"]
    row = {"experiment": experiment.key, "variant": "control", "day": "2025-09-01", "impressions": 1}
    shop.post("/api/v1/counts/", {"increments": [row]}, headers={"Idempotency-Key": "1"})

    with CaptureQueriesContext(connection) as queries:
        response = shop.get(PATH, headers={"If-None-Match": etag})

    assert (response.status_code, len(queries)) == (304, 1)


def test_rule_set__max_age__is_the_operators(shop: APIClient, settings: Settings) -> None:
    settings.RULESET_MAX_AGE = 5

    assert shop.get(PATH)["Cache-Control"] == "private, max-age=5"


def test_rule_set__person_with_a_session__gets_the_answer_of_a_key(
    shop: APIClient, admin_client: Any
) -> None:
    allocate(make_running())

    by_key, by_session = shop.get(PATH), admin_client.get(PATH)

    assert by_session.content == by_key.content
    for header in ("ETag", "Cache-Control", "Content-Type"):
        assert by_session[header] == by_key[header]


@pytest.mark.database_free
@given(st.integers(1, 100))
def test_even_split__any_number_of_variants__adds_up_and_differs_by_one_part_at_most(number: int) -> None:
    parts = _even([_Variant(n, f"v{n}", False, True) for n in range(number)])

    assert sum(parts.values()) == PARTS
    assert max(parts.values()) - min(parts.values()) <= 1
