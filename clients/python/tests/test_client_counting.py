"""Events become counts, once each and on the right day."""

import datetime as dt
import json
import threading

import pytest
from bandit_client import Exposure
from bandit_client.counting import Recent
from fake_service import FakeService, MakeClient

TODAY = dt.datetime.now(dt.UTC).date().isoformat()


def _unit_of(client: object, variant: str) -> str:
    return next(str(n) for n in range(100) if client.get_variant("hero", str(n)) == variant)  # type: ignore[attr-defined]


def test_client__events_of_one_unit__arrive_as_counts_of_its_variant_and_day(
    service: FakeService, make_client: MakeClient
) -> None:
    client = make_client()
    unit = _unit_of(client, "blue")

    exposure = client.exposure("hero", unit)
    client.click("hero", unit)
    client.conversion("hero", unit, value=12.5)
    client.flush()

    assert exposure == Exposure("hero", "blue", TODAY)
    body = json.loads(service.requests[-1][2])
    assert body == {
        "increments": [
            {
                "experiment": "hero", "variant": "blue", "day": TODAY,
                "impressions": 1, "clicks": 1, "conversions": 1, "values": ["12.5000"],
            }
        ]
    }  # fmt: skip


def test_client__same_events_again__count_nothing(service: FakeService, make_client: MakeClient) -> None:
    client = make_client()

    for _ in range(3):
        client.exposure("hero", "u")
        client.click("hero", "u")
        client.conversion("hero", "u", 5)
    client.flush()
    client.flush()

    assert [service.total(kind) for kind in ("impressions", "clicks", "conversions")] == [1, 1, 1]
    assert len(service.bodies) == 1


def test_exposure__next_day__counts_again_and_takes_the_later_click(
    service: FakeService, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client()
    days = iter(["2026-11-26", "2026-11-27"])
    monkeypatch.setattr(client, "_today", lambda: next(days))

    client.exposure("hero", "u")
    client.exposure("hero", "u")
    client.click("hero", "u")
    client.flush()

    variant = client.get_variant("hero", "u")
    assert service.totals == {
        ("hero", variant, "2026-11-26", "impressions"): 1,
        ("hero", variant, "2026-11-27", "impressions"): 1,
        ("hero", variant, "2026-11-27", "clicks"): 1,
    }


def test_click__exposure_of_another_process__counts_on_its_day_and_variant(
    service: FakeService, make_client: MakeClient
) -> None:
    first, second = make_client(), make_client()
    exposure = first.exposure("hero", "u")
    first.flush()

    assert second.click("hero", "u") is False
    assert second.click("hero", "u", exposure) is True
    assert second.click("hero", "u", exposure) is False
    second.flush()

    assert service.total("clicks") == 1


def test_client__experiment_that_is_unknown_or_completed__counts_nothing(
    service: FakeService, make_client: MakeClient
) -> None:
    client = make_client()

    assert client.exposure("nothing", "u") is None
    assert client.get_variant("nothing", "u", default="plain") == "plain"
    assert client.exposure("old", "u") == Exposure("old", "blue", TODAY)
    assert client.click("old", "u") is False
    client.flush()

    assert service.bodies == {}


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "12,5", 10**12])
def test_conversion__value_that_the_service_refuses__is_a_value_error(
    make_client: MakeClient, value: float | str
) -> None:
    client = make_client()
    client.exposure("hero", "u")

    with pytest.raises(ValueError, match="value"):
        client.conversion("hero", "u", value)
    assert client.pending == 1


def test_client__many_threads__lose_and_double_nothing(service: FakeService, make_client: MakeClient) -> None:
    client = make_client()

    def work(first: int) -> None:
        for n in range(first, first + 1000):
            client.exposure("hero", str(n))
            client.click("hero", str(n))
            if n % 100 == 0:
                client.flush()

    threads = [threading.Thread(target=work, args=(n,)) for n in (0, 500, 1000, 1500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.flush()

    assert (service.total("impressions"), service.total("clicks")) == (2500, 2500)


def test_recent__more_than_its_size__forgets_the_oldest_and_stays_bounded() -> None:
    recent: Recent[str] = Recent(10)

    for n in range(1000):
        recent[n] = "seen"
        recent.get(0)

    assert len(recent) <= 20
    assert recent.get(999) == "seen"
    assert recent.get(0) == "seen"  # read all the time
    assert recent.get(500) is None
