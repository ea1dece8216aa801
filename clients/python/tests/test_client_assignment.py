"""The client sees what the service sees, and keeps seeing it when the service is away."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from bandit_client import Client, Race
from bandit_client.ruleset import parse_rule_set
from fake_service import RULES, FakeService, MakeClient, fake_service

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/assignment.json").read_text(encoding="utf-8"))


def _units() -> list[str]:
    prefixes = VECTORS["prefixes"]
    return [f"{prefixes[n % len(prefixes)]}{n}" for n in range(VECTORS["units"])]


def test_race__shared_vectors__give_the_answers_of_the_service() -> None:
    units = _units()

    for experiment in VECTORS["experiments"]:
        race = Race(experiment["key"], experiment["shares"])
        winners = "\n".join(map(race.winner, units))
        assert hashlib.sha256(winners.encode()).hexdigest() == experiment["sha256"], experiment["key"]


def test_race__no_share__is_refused() -> None:
    with pytest.raises(ValueError, match="no variant has a share"):
        Race("hero", {"a": 0})


def test_get_variant__any_unit__follows_the_rule_set(make_client: MakeClient) -> None:
    client, race = make_client(), Race("hero", {"blue": 3333, "red": 6667})

    assert [client.get_variant("hero", str(n)) for n in range(100)] == [
        race.winner(str(n)) for n in range(100)
    ]
    assert client.get_variant("old", "anybody") == "blue"


def test_refresh__unchanged__asks_with_the_etag_and_changed__replaces_the_rules(
    service: FakeService, make_client: MakeClient
) -> None:
    client = make_client()
    client._rules.refresh()
    assert service.requests[-1][1]["If-None-Match"]
    assert service.requests[-1][1]["Authorization"] == "Api-Key key"

    service.rules = {**RULES, "experiments": [{**RULES["experiments"][0], "shares": {"green": 10000}}]}
    client._rules.refresh()

    assert client.get_variant("hero", "u") == "green"
    assert client.get_variant("old", "u", default="none") == "none"


@pytest.mark.parametrize("change", [{"version": 2}, {"experiments": [{}]}, {"time_zone": "Nowhere/At all"}])
def test_refresh__rules_that_cannot_be_followed__keep_the_last_good_ones(
    service: FakeService, make_client: MakeClient, change: dict[str, Any]
) -> None:
    client = make_client()
    before = client.get_variant("hero", "u")
    service.rules = {**RULES, **change}

    client._rules.refresh()

    assert client.get_variant("hero", "u") == before


def test_client__service_is_gone_at_the_start__uses_the_copy_of_an_earlier_process(tmp_path: Path) -> None:
    with fake_service() as service, Client(service.url, "key", spool_dir=tmp_path) as first:
        assert first.wait_until_ready(10)
        seen = first.get_variant("hero", "u")

    with Client("http://127.0.0.1:9", "key", spool_dir=tmp_path, timeout=1) as second:
        assert second.wait_until_ready(0)
        assert second.get_variant("hero", "u") == seen


def test_client__neither_service_nor_copy__gives_the_default_and_counts_nothing() -> None:
    with Client("http://127.0.0.1:9", "key", timeout=1) as client:
        assert client.get_variant("hero", "u") == "control"
        assert client.exposure("hero", "u") is None
        assert client.pending == 0


def test_client__url_without_scheme__is_refused() -> None:
    with pytest.raises(ValueError, match="http"):
        Client("bandit.example.com", "key")


def test_rules__share__is_the_chance() -> None:
    rules = parse_rule_set(RULES).experiments["hero"]

    assert (rules.share("blue"), rules.share("none"), rules.allocation) == (0.3333, 0, 17)
