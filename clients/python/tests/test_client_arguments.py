"""An argument that can never be right is refused by the call, and nothing of it is sent."""

from collections.abc import Callable
from typing import Any

import pytest
from bandit_client import Client, Exposure
from bandit_client.django import middleware
from fake_service import FakeService, MakeClient

UNIT = "unit must be text that is not blank"
SEEN = Exposure("hero", "blue", "2026-11-26")


@pytest.mark.parametrize("unit", ["", " ", "\t\n", None, 7, b"u"])
@pytest.mark.parametrize(
    "call",
    [
        lambda client, unit: client.get_variant("hero", unit),
        lambda client, unit: client.exposure("hero", unit),
        lambda client, unit: client.click("hero", unit, SEEN),
        lambda client, unit: client.conversion("hero", unit, 5, SEEN),
    ],
    ids=["get_variant", "exposure", "click", "conversion"],
)
def test_client__unit_that_names_nobody__is_refused_and_counts_nothing(
    make_client: MakeClient, call: Callable[[Client, Any], object], unit: Any
) -> None:
    client = make_client()

    with pytest.raises(ValueError, match=UNIT):
        call(client, unit)

    assert client.pending == 0


@pytest.mark.parametrize(
    "seen", [["hero", "blue"], ["hero", "blue", "yesterday"], ["hero", "", "2026-11-26"], "hero"]
)
def test_click__exposure_that_is_none__is_refused(make_client: MakeClient, seen: Any) -> None:
    client = make_client()

    with pytest.raises(ValueError, match="exposure must be what"):
        client.click("hero", "u", seen)
    with pytest.raises(ValueError, match="exposure must be what"):
        client.conversion("hero", "u", 5, seen)

    assert client.pending == 0


def test_click__exposure_of_another_experiment__is_refused(make_client: MakeClient) -> None:
    client = make_client()

    with pytest.raises(ValueError, match="exposure must be one of 'other', not of 'hero'"):
        client.click("other", "u", SEEN)

    assert client.pending == 0


def test_click__exposure_from_json__counts(service: FakeService, make_client: MakeClient) -> None:
    client = make_client()

    assert client.click("hero", "u", list(SEEN))  # type: ignore[arg-type]
    assert not client.click("hero", "u", SEEN)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": "bandit.example.com"}, "must begin with http"),
        ({"url": "https://"}, "names no host"),
        ({"api_key": "abc\n"}, "api_key must be ASCII"),
        ({"api_key": "schlüssel"}, "api_key must be ASCII"),
        ({"api_key": None}, "api_key must be text, blank for none, not of the type NoneType"),
        ({"api_key": b"secret"}, "not of the type bytes"),
        ({"flush_interval": None}, "flush_interval must be above 0"),
        ({"timeout": "5"}, "timeout must be above 0"),
        ({"flush_interval": 0}, "flush_interval must be above 0"),
        ({"poll_interval": -1}, "poll_interval must be above 0"),
        ({"timeout": 0}, "timeout must be above 0"),
        ({"max_units": 0}, "max_units must be above 0"),
    ],
)
def test_client__arguments_that_cannot_work__are_refused_at_once(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Client(**{"url": "https://bandit.example.com", **given})


@pytest.mark.parametrize("known", [None, "", "x" * 256])
def test_middleware__cookie_that_names_nobody__is_replaced(known: str | None) -> None:
    assert len(middleware._kept_unit(known)) == 32
