"""Counts arrive exactly once, whatever the service answers."""

import json
from pathlib import Path
from typing import Any

import pytest
from bandit_client import Client
from bandit_client.rows import Exposure, Row, Rows, add_rows, peel, take
from fake_service import FakeService, MakeClient, fake_service

_Kinds = ("impressions", "clicks", "conversions")


def _count_some(client: Any, units: range) -> None:
    for n in units:
        client.exposure("hero", f"u{n}")
        client.click("hero", f"u{n}")


def test_flush__answer_is_lost__sends_the_same_bytes_under_the_same_key(
    service: FakeService, make_client: MakeClient
) -> None:
    client = make_client()
    service.faults = ["after", "before", "after"]

    for start in range(0, 50, 10):
        _count_some(client, range(start, start + 10))
        client.flush()
    client.flush()

    assert (service.total("impressions"), service.total("clicks"), client.pending) == (50, 50, 0)
    sent = [(headers["Idempotency-Key"], body) for path, headers, body in service.requests if body]
    assert sent[0] == sent[1] == sent[2]
    assert len(set(sent)) == len({key for key, _ in sent})


def test_flush__no_answer_for_longer_than_the_key_lives__is_put_aside_and_not_sent(
    service: FakeService, make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service has forgotten the key: if the batch was counted, it would count twice."""
    client = make_client(spool_dir=tmp_path)
    service.faults = ["after"]
    _count_some(client, range(10))
    client.flush()
    (body,) = service.bodies.values()
    monkeypatch.setattr("bandit_client.stream.KEY_LIFE", -1.0)

    _count_some(client, range(10, 15))
    client.flush()

    assert (service.total("impressions"), client.pending) == (15, 0)
    (aside,) = tmp_path.glob("unsure-*.json")
    assert aside.read_bytes() == body


@pytest.mark.parametrize("is_reached", [True, False])
def test_flush__certainly_not_counted_for_longer_than_the_key_lives__is_sent(
    service: FakeService, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, is_reached: bool
) -> None:
    client = make_client()
    _count_some(client, range(10))
    url = client._service._url
    if is_reached:
        service.refusals = [(429, {"code": "throttled"})]
    else:
        client._service._url = "http://127.0.0.1:9"  # nobody listens there
    client.flush()
    client._service._url = url
    monkeypatch.setattr("bandit_client.stream.KEY_LIFE", -1.0)

    client.flush()

    assert (service.total("impressions"), client.pending) == (10, 0)


def test_flush__lost_answer_and_then_a_refusal__is_still_in_doubt(
    service: FakeService, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client()
    service.faults = ["after"]
    _count_some(client, range(10))
    client.flush()
    client._service._url, url = "http://127.0.0.1:9", client._service._url
    client.flush()
    client._service._url = url
    monkeypatch.setattr("bandit_client.stream.KEY_LIFE", -1.0)

    client.flush()

    assert (service.total("impressions"), len(service.requests), client.pending) == (10, 2, 0)


def test_client__refused_at_the_first_start__says_that_visitors_get_the_default(
    service: FakeService, caplog: pytest.LogCaptureFixture
) -> None:
    service.away = True

    with Client(service.url, "a wrong key", flush_interval=3600, poll_interval=3600) as client:
        client._rules.refresh()
        assert client.get_variant("hero", "u", default="plain") == "plain"

    assert "there is no rule set yet" in caplog.text
    assert "stays in use" not in caplog.text


def test_client__service_has_moved__says_where_and_gives_its_key_to_no_other_host(
    service: FakeService, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client()
    with fake_service() as other:
        service.moved_to = other.url.replace("127.0.0.1", "localhost")
        client.exposure("hero", "u")
        client.flush()
        client._rules.refresh()
        assert (other.requests, client.pending) == ([], 1)
    said = f"it has moved to {service.moved_to}"
    assert [said in record.getMessage() for record in caplog.records] == [True, True]

    service.moved_to = ""
    client.flush()

    assert (service.total("impressions"), client.pending) == (1, 0)


def test_flush__service_is_away__keeps_one_row_for_each_variant_and_day(
    service: FakeService, make_client: MakeClient
) -> None:
    client = make_client()
    service.away = True

    for start in range(0, 1000, 10):
        _count_some(client, range(start, start + 10))
        client.flush()
    assert client.pending == 2000
    service.away = False
    client.flush()

    assert (service.total("impressions"), client.pending) == (1000, 0)
    # the batch that was tried, and all that came after it
    assert len(service.bodies) == 2


def test_flush__clicks_before_their_impressions__wait_for_them(
    service: FakeService, make_client: MakeClient
) -> None:
    shows, clicks = make_client(), make_client()
    exposures = {unit: shows.exposure("hero", unit) for unit in "abcdefgh"}
    for unit, exposure in exposures.items():
        clicks.click("hero", unit, exposure)
        clicks.conversion("hero", unit, 2, exposure)
    clicks.exposure("hero", "another")

    clicks.flush()
    assert (service.total("impressions"), service.total("clicks")) == (1, 0)
    assert clicks.pending == 16
    shows.flush()
    clicks.flush()

    assert [service.total(kind) for kind in _Kinds] == [9, 8, 8]
    assert service.values == ["2.0000"] * 8


def test_flush__rows_that_are_refused_for_good__are_dropped_and_the_others_sent(
    service: FakeService, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client()
    client.exposure("hero", "u")
    client.click("hero", "u", Exposure("hero", "green", "2026-11-26"))
    service.refusals = [(422, {"code": "invalid", "rows": [1]})]

    client.flush()

    assert ([service.total(kind) for kind in _Kinds], client.pending) == ([1, 0, 0], 0)
    assert "green" in caplog.text


def test_flush__refusal_that_names_no_row__drops_only_the_bad_one(
    service: FakeService, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client()
    service.keeps_order = False
    taken = service.take

    def refuse_green(key: str, body: bytes) -> tuple[int, dict[str, Any]]:
        return (400, {"code": "parse_error"}) if b"green" in body else taken(key, body)

    monkeypatch.setattr(service, "take", refuse_green)
    for n in range(20):
        client.click("hero", "u", Exposure("hero", "green" if n == 7 else f"v{n}", "2026-11-26"))

    client.flush()

    assert (service.total("clicks"), client.pending) == (19, 0)


@pytest.mark.parametrize(
    "answer", [(400, {}), (404, {}), (401, {"code": "invalid_api_key"}), (429, {"code": "throttled"})]
)
def test_flush__answer_that_is_no_refusal_of_the_counts__keeps_everything(
    service: FakeService, make_client: MakeClient, answer: tuple[int, dict[str, Any]]
) -> None:
    client = make_client()
    client.exposure("hero", "u")
    service.refusals = [answer]

    client.flush()
    client.flush()

    assert (service.total("impressions"), client.pending) == (1, 0)


def test_flush__key_in_use__sends_it_again_unchanged(service: FakeService, make_client: MakeClient) -> None:
    client = make_client()
    client.exposure("hero", "u")
    service.refusals = [(409, {"code": "idempotency_key_in_use"})]

    client.flush()
    client.flush()

    sent = [headers["Idempotency-Key"] for path, headers, body in service.requests if body]
    assert (service.total("impressions"), len(sent), len(set(sent))) == (1, 2, 1)


def test_flush__more_rows_than_a_request_takes__sends_several(
    service: FakeService, make_client: MakeClient
) -> None:
    client = make_client()
    service.keeps_order = False
    for n in range(2500):
        client.click("hero", "u", Exposure("hero", f"v{n}", "2026-11-26"))

    client.flush()

    sizes = [len(json.loads(body)["increments"]) for _, _, body in service.requests if body]
    assert (sizes, service.total("clicks")) == ([1000, 1000, 500], 2500)


def test_take__row_of_too_many_values__is_cut() -> None:
    rows: Rows = {Exposure("e", "v", "d"): Row(30_000, 5, 25_000, ["1.0000"] * 23_000)}

    parts: list[Row] = []
    while rows:
        parts += take(rows, 1000).values()

    assert [(len(row.values), row.conversions, row.impressions, row.clicks) for row in parts] == [
        (10_000, 12_000, 30_000, 5), (10_000, 10_000, 0, 0), (3_000, 3_000, 0, 0),
    ]  # fmt: skip


def test_peel__row_out_of_order__gives_what_can_go_first() -> None:
    assert peel(Row(5, 6, 1, ["1"])) == (Row(5), Row(0, 6, 1, ["1"]))
    assert peel(Row(0, 6, 1, ["1"])) == (Row(0, 6), Row(0, 0, 1, ["1"]))
    assert peel(Row(0, 6)) == (Row(), Row(0, 6))


def test_add_rows__merged__are_owned_by_the_target() -> None:
    place = Exposure("e", "v", "d")
    into: Rows = {place: Row(1, 1, 1, ["1"])}

    add_rows(into, {place: Row(2, 0, 1, ["3"])})

    assert into == {place: Row(3, 1, 2, ["1", "3"])}
