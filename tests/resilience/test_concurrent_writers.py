"""Many clients write and allocate at the same time: no write is lost, none fails, and the ledger fits its inputs."""

import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from tests.resilience.databases import postgresql, sqlite
from tests.resilience.load import (
    Load,
    at_once,
    impressions_of,
    make_experiments,
    send_until_acknowledged,
    yesterday,
)
from tests.resilience.scale import FULL, scaled
from tests.resilience.service import Service, served

ADDERS, SETTERS, ALLOCATORS = 16, 8, 8
EXPERIMENTS = 20
SHARED = ("control", "b", "c")


@dataclass
class _Expected:
    """The counts that must be stored in the end, and how many decisions were answered as new ones."""

    impressions: dict[int, Counter[str]]
    decisions: Counter[int] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


def _write(service: Service, load: Load, body: dict[str, Any]) -> None:
    send_until_acknowledged(load, partial(service.post_once, "/api/v1/events/", body))


def _rows(experiments: list[int], variant: str, impressions: int) -> list[dict[str, Any]]:
    row = {"date": yesterday().isoformat(), "variant_name": variant, "impressions": impressions, "clicks": 0}
    return [{"experiment_id": experiment, **row} for experiment in experiments]


def _some(experiments: list[int]) -> list[int]:
    """A few of the experiments, in random order."""
    return random.sample(experiments, random.randint(1, 5))


def _add(service: Service, load: Load, expected: _Expected) -> None:
    """Add to a variant that other clients add to as well."""
    chosen, variant, more = _some([*expected.impressions]), random.choice(SHARED), random.randint(1, 1000)
    _write(service, load, {"mode": "add", "rows": _rows(chosen, variant, more)})
    with expected.lock:
        for experiment in chosen:
            expected.impressions[experiment][variant] += more


def _set(service: Service, load: Load, expected: _Expected, client: int) -> None:
    """Set the total of a variant that no other client writes to."""
    chosen, variant, total = _some([*expected.impressions]), f"of client {client}", random.randint(1, 10**6)
    _write(service, load, {"rows": _rows(chosen, variant, total)})
    with expected.lock:
        for experiment in chosen:
            expected.impressions[experiment][variant] = total


def _allocate(service: Service, load: Load, expected: _Expected) -> None:
    experiment = random.choice([*expected.impressions])
    answer = service.post(f"/api/v1/experiments/{experiment}/allocation/", {})
    load.note(answer)
    answer.raise_for_status()
    with expected.lock:
        expected.decisions[experiment] += answer.status_code == 201


def _ledger(service: Service, experiment: int) -> list[dict[str, Any]]:
    """All decisions of an experiment, oldest first."""
    rows: list[dict[str, Any]] = []
    for page in itertools.count(1):
        found = service.get(
            f"/api/v1/experiments/{experiment}/allocations/?page_size=1000&page={page}"
        ).json()
        rows += found["results"]
        if not found["next"]:
            return rows[::-1]
    raise AssertionError


def _assert_one_revision_per_change(ledger: list[dict[str, Any]]) -> None:
    for _, rows in itertools.groupby(ledger, key=lambda row: row["target_date"]):
        of_day = list(rows)
        assert [row["revision"] for row in of_day] == list(range(1, len(of_day) + 1))
        assert all(a["inputs_digest"] != b["inputs_digest"] for a, b in itertools.pairwise(of_day))


@pytest.mark.parametrize("database", [sqlite, postgresql] if FULL else [sqlite])
def test_concurrent_writers__beside_allocators__nothing_is_lost_and_the_ledger_holds(
    database: Callable[[], AbstractContextManager[str]], report: Callable[[str], None]
) -> None:
    load, seconds = Load(), scaled(2, 60)
    with database() as url, served(url) as service:
        experiments = make_experiments(service, EXPERIMENTS)
        expected = _Expected({experiment: Counter() for experiment in experiments})
        everyone = (service, load, expected)
        # from the beginning, each experiment has something to decide on
        _write(service, load, {"rows": _rows(experiments, "control", 0)})
        actions = [
            *[partial(_add, *everyone)] * ADDERS,
            *[partial(_set, *everyone, client) for client in range(SETTERS)],
            *[partial(_allocate, *everyone)] * ALLOCATORS,
        ]
        with at_once(load, actions):
            load.ended.wait(seconds)
        stored = {experiment: impressions_of(service, experiment) for experiment in experiments}
        ledgers = {experiment: _ledger(service, experiment) for experiment in experiments}
        verified = service.run("verify_ledger").strip()

    # on SQLite two keys may share a lock by chance: one client is asked to retry, and does
    by_chance = {(409, "idempotency_key_in_use")} if database is sqlite else set()
    assert set(load.answers) - by_chance == {(200, ""), (201, "")}
    assert stored == {experiment: {"control": 0, **of} for experiment, of in expected.impressions.items()}
    for ledger in ledgers.values():
        _assert_one_revision_per_change(ledger)
    assert Counter({experiment: len(ledger) for experiment, ledger in ledgers.items()}) == expected.decisions
    report(
        f"{len(actions)} clients for {seconds} s: {load.answers.total():,} requests, "
        f"{expected.decisions.total():,} decisions; {verified}"
    )
