"""The OpenFeature SDK with its own OFREP provider, against the running server: a client that is not ours."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openfeature import api as openfeature
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from pytest_django import Settings

from allocation.engine.assignment import assign
from allocation.services import complete_experiment
from bandit_project.models import ApiKey
from tests.factory import NOW, TODAY, allocate, make_running, shares_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("today")]

VISITOR = EvaluationContext(targeting_key="visitor-42", attributes={"country": "pt"})


@pytest.fixture(params=["X-API-Key: {}", "Authorization: Bearer {}"])
def client(
    live_server: Any, settings: Settings, request: pytest.FixtureRequest
) -> Iterator[OpenFeatureClient]:
    """A client of the SDK, with the key in either header that providers send."""
    settings.API_KEY_REQUIRED = True
    name, _, value = request.param.format(ApiKey.objects.create_key(name="shop", scope="serve")[1]).partition(
        ": "
    )
    yield from _client(live_server.url, lambda: {name: value})


def _client(url: str, headers: Callable[[], dict[str, str]]) -> Iterator[OpenFeatureClient]:
    openfeature.set_provider_and_wait(OFREPProvider(url, headers_factory=headers))
    yield openfeature.get_client()
    openfeature.shutdown()
    openfeature.clear_providers()


def test_openfeature__active_experiment__resolves_the_assigned_variant(client: OpenFeatureClient) -> None:
    experiment = make_running()
    allocation = allocate(experiment)
    shares = shares_of(allocation)
    variant = assign(experiment.key, shares, "visitor-42")

    found = client.get_string_details(experiment.key, "fallback", VISITOR)

    assert (found.value, found.variant, found.reason) == (variant, variant, Reason.SPLIT)
    assert found.error_code is None
    assert found.flag_metadata["share"] == shares[variant]
    assert found.flag_metadata["allocation"] == allocation.pk


def test_openfeature__completed_experiment__is_static(client: OpenFeatureClient) -> None:
    experiment = make_running()
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)

    found = client.get_string_details(experiment.key, "fallback", VISITOR)

    assert (found.value, found.reason) == ("control", Reason.STATIC)


@pytest.mark.parametrize(
    ("key", "context", "code"),
    [
        ("unknown", VISITOR, ErrorCode.FLAG_NOT_FOUND),
        ("with a space", VISITOR, ErrorCode.FLAG_NOT_FOUND),
        ("button-colour", EvaluationContext(attributes={"country": "pt"}), ErrorCode.TARGETING_KEY_MISSING),
        ("button-colour", EvaluationContext(targeting_key="x" * 256), ErrorCode.INVALID_CONTEXT),
    ],
)
def test_openfeature__what_cannot_be_evaluated__falls_back_with_the_code(
    client: OpenFeatureClient, key: str, context: EvaluationContext, code: ErrorCode
) -> None:
    make_running()

    found = client.get_string_details(key, "fallback", context)

    assert (found.value, found.reason, found.error_code) == ("fallback", Reason.ERROR, code)
    assert found.error_message


def test_openfeature__throttled__waits_as_asked(client: OpenFeatureClient, settings: Settings) -> None:
    settings.THROTTLE_RATES = {"read": "1/hour", "write": None}
    make_running()
    client.get_string_details("button-colour", "fallback", VISITOR)

    limited = client.get_string_details("button-colour", "fallback", VISITOR)
    paused = client.get_string_details("button-colour", "fallback", VISITOR)

    assert (limited.value, limited.error_code) == ("fallback", ErrorCode.GENERAL)
    assert "retry after: " in str(limited.error_message)
    assert "paused due to TooManyRequests" in str(paused.error_message)


def test_openfeature__wrong_key__is_unauthorized(live_server: Any, settings: Settings) -> None:
    settings.API_KEY_REQUIRED = True
    make_running()

    for client in _client(live_server.url, lambda: {"X-API-Key": "wrong.wrong"}):
        found = client.get_string_details("button-colour", "fallback", VISITOR)

        assert (found.value, found.error_code, found.error_message) == (
            "fallback",
            ErrorCode.GENERAL,
            "unauthorized",
        )
