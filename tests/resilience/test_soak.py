"""Ten minutes of mixed traffic: no 5xx, and no worker holds more memory at the end than it did once warm."""

import datetime as dt
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.deployment.installation import copy_static_files
from tests.resilience.databases import postgresql
from tests.resilience.memory import MB, resident
from tests.resilience.scale import FULL, scaled
from tests.resilience.service import Service, served

Report = Callable[[str], None]
Traffic = Callable[[requests.Session, str, random.Random], requests.Response]

SECONDS = scaled(4, 600)
# Until then caches fill, and Python reserves the memory of its busiest moment.
WARM_UP = scaled(2, 120)
CLIENTS = 8
EXPERIMENTS = 20
# In a few seconds a worker is not yet warm.
GROWTH = 0.10 if FULL else 0.30
TODAY = dt.datetime.now(dt.UTC).date()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    static = tmp_path / "static"
    copy_static_files(static)  # production's pages need them
    with postgresql() as database, served(database, STATIC_ROOT=str(static)) as made:
        for number in range(EXPERIMENTS):
            body = {"name": f"Soak {number}", "status": "active", "variants": [{"name": "a"}, {"name": "b"}]}
            assert made.post("/api/v1/experiments/", body).status_code == 201
        yield made


def _key(chance: random.Random) -> str:
    return f"soak-{chance.randrange(EXPERIMENTS)}"


def _row(chance: random.Random) -> dict[str, object]:
    date = TODAY - dt.timedelta(days=chance.randrange(60))
    impressions = chance.randrange(100, 10_000)
    clicks = chance.randrange(impressions // 10)
    row = {"experiment_id": _key(chance), "date": date.isoformat(), "variant_name": chance.choice("ab")}
    return {**row, "impressions": impressions, "clicks": clicks}


def _one_day(session: requests.Session, url: str, chance: random.Random) -> requests.Response:
    row = _row(chance)
    place = {name: row.pop(name) for name in ("experiment_id", "date")}
    return session.post(f"{url}/events", json={**place, "variants": [row]}, timeout=60)


def _batch(session: requests.Session, url: str, chance: random.Random) -> requests.Response:
    drawn = [_row(chance) for _ in range(200)]
    rows = {(row["experiment_id"], row["date"], row["variant_name"]): row for row in drawn}
    return session.post(f"{url}/api/v1/events/", json={"rows": list(rows.values())}, timeout=60)


def _file(session: requests.Session, url: str, chance: random.Random) -> requests.Response:
    rows = [_row(chance) for _ in range(200)]
    text = "\n".join([",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)])
    return session.post(f"{url}/upload-data", files={"file": ("days.csv", text)}, timeout=60)


def _decision(session: requests.Session, url: str, chance: random.Random) -> requests.Response:
    return session.post(f"{url}/api/v1/experiments/{_key(chance)}/allocation/", timeout=60)


def _read(session: requests.Session, url: str, chance: random.Random) -> requests.Response:
    part = chance.choice(
        ["", "allocation/", "allocations/", "metrics/", "metrics/?format=csv", "statistics/"]
    )
    return session.get(f"{url}/api/v1/experiments/{_key(chance)}/{part}", timeout=60)


def _page(session: requests.Session, url: str, chance: random.Random) -> requests.Response:
    """Open a page that needs no login, or one that monitoring asks for."""
    path = chance.choice(["/accounts/login/", "/docs", "/schema", "/health", "/experiments", "/nowhere"])
    return session.get(url + path, timeout=60)


def _simulation(session: requests.Session, url: str, chance: random.Random) -> requests.Response:
    body = {
        "rates": [0.04, 0.05],
        "days": 10,
        "runs": 20,
        "daily_traffic": 1000,
        "seed": chance.randrange(99),
    }
    return session.post(f"{url}/api/v1/simulations/", json=body, timeout=60)


def _mistake(session: requests.Session, url: str, chance: random.Random) -> requests.Response:
    bad = {"rows": [{**_row(chance), "clicks": chance.choice([-1, "x", None, 10**20])}]}
    return session.post(f"{url}/api/v1/events/", json=bad, timeout=60)


# The share of each kind of request.
MIX: dict[Traffic, int] = {
    _one_day: 20, _batch: 5, _file: 3, _decision: 10, _read: 40, _page: 10, _simulation: 2, _mistake: 10,
}  # fmt: skip


def test_service__mixed_traffic__answers_all_and_holds_no_more_than_once_warm(
    service: Service, report: Report
) -> None:
    workers = service.workers()
    started = time.monotonic()

    with ThreadPoolExecutor(CLIENTS) as pool:
        lives = [pool.submit(_live, service.url, seed, started + SECONDS) for seed in range(CLIENTS)]
        memory = list(_memory(workers, started + WARM_UP, started + SECONDS))
    statuses = sum((life.result() for life in lives), Counter[tuple[str, int]]())

    report(_figures(statuses))
    report("; ".join(f"a worker held {_as_mb(held)}" for held in zip(*memory, strict=True)))
    assert service.workers() == workers
    assert [answer for answer in statuses if answer[1] >= 500] == [], service.log.read_text()[-3000:]
    for held in zip(*memory, strict=True):
        assert held[-1] <= held[0] * (1 + GROWTH)


def _live(url: str, seed: int, until: float) -> Counter[tuple[str, int]]:
    """Send one client's traffic; the kinds of its requests with the statuses of the answers."""
    chance = random.Random(seed)
    statuses: Counter[tuple[str, int]] = Counter()
    with requests.Session() as session:
        while time.monotonic() < until:
            (kind,) = chance.choices(list(MIX), list(MIX.values()))
            statuses[kind.__name__.lstrip("_"), kind(session, url, chance).status_code] += 1
    return statuses


def _memory(workers: list[int], warm: float, until: float) -> Iterator[list[int]]:
    """The memory of each worker, once warm and then ten times until the end."""
    for number in itertools.count():
        time.sleep(max(0.0, warm + number * (until - warm) / 10 - time.monotonic()))
        yield [resident(pid) for pid in workers]
        if number == 10:
            return


def _figures(statuses: Counter[tuple[str, int]]) -> str:
    kinds = Counter[str]()
    for (kind, _), count in statuses.items():
        kinds[kind] += count
    refused = sum(count for (_, status), count in statuses.items() if status >= 400)
    return f"{statuses.total()} requests in {SECONDS} s, {refused} refused: {dict(kinds)}"


def _as_mb(held: tuple[int, ...]) -> str:
    return (
        f"{held[0] / MB:.0f} MB once warm, {held[-1] / MB:.0f} MB at the end ({held[-1] / held[0] - 1:+.1%})"
    )
