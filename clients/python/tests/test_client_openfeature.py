"""The client behind the OpenFeature SDK."""

from collections.abc import Iterator
from typing import Any

import pytest
from fake_service import FakeService, MakeClient

pytest.importorskip("openfeature")

from bandit_client.openfeature import BanditProvider
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.track import TrackingEventDetails

VISITOR = EvaluationContext(targeting_key="u")


@pytest.fixture
def flags(make_client: MakeClient) -> Iterator[tuple[OpenFeatureClient, Any]]:
    client = make_client()
    api.set_provider(BanditProvider(client))
    yield api.get_client(), client
    api.clear_providers()


def test_provider__string__is_the_variant_and_counts_the_exposure(flags: Any, service: FakeService) -> None:
    sdk, client = flags

    details = sdk.get_string_details("hero", "control", VISITOR)
    client.flush()

    assert (details.value, details.variant) == (client.get_variant("hero", "u"),) * 2
    assert details.reason == "SPLIT"
    assert details.flag_metadata["allocation"] == 17
    assert service.total("impressions") == 1


def test_provider__experiment_not_live_or_no_visitor_or_other_type__is_the_default_with_its_reason(
    flags: Any,
) -> None:
    sdk, client = flags

    assert sdk.get_string_details("nothing", "plain", VISITOR).error_code == "FLAG_NOT_FOUND"
    assert sdk.get_string_details("hero", "plain").error_code == "TARGETING_KEY_MISSING"
    assert sdk.get_boolean_details("hero", True, VISITOR).error_code == "TYPE_MISMATCH"
    assert sdk.get_string_details("old", "plain", VISITOR).reason == "STATIC"
    assert client.pending == 0


def test_track__click_and_conversion__count_for_the_experiments_that_the_unit_saw(
    flags: Any, service: FakeService
) -> None:
    sdk, client = flags
    sdk.get_string_value("hero", "control", VISITOR)

    sdk.track("click", VISITOR)
    sdk.track("conversion", VISITOR, TrackingEventDetails(12.5, {"experiment": "hero"}))
    sdk.track("newsletter", VISITOR)
    client.flush()

    assert [service.total(kind) for kind in ("impressions", "clicks", "conversions")] == [1, 1, 1]
    assert service.values == ["12.5000"]
