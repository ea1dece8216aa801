"""A worker is killed while it writes: all of the write is stored or none, and with a retry exactly once."""

import datetime as dt
import itertools
import os
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.resilience.databases import postgresql, sqlite
from tests.resilience.load import PATIENCE, Load, make_experiments, send_until_acknowledged, yesterday
from tests.resilience.scale import scaled
from tests.resilience.service import WORKERS, Service, served

DAYS, VARIANTS = 60, 10  # for each of two experiments: enough rows to be killed in the middle

Send = Callable[[str], requests.Response]


@dataclass
class _Target:
    """Two experiments in which every row has as many impressions as there were rounds."""

    experiments: list[int]
    make: Callable[[Service, list[int], int], Send]
    rounds: int = 0
    seconds: float = 0.0  # that an undisturbed round takes

    def next(self, service: Service) -> Send:
        self.rounds += 1
        return self.make(service, self.experiments, self.rounds)


def _batch(service: Service, experiments: list[int], impressions: int) -> Send:
    """A batch that adds one to every row."""
    rows = [
        {"experiment_id": experiment, "date": day, "variant_name": variant, "impressions": 1, "clicks": 0}
        for experiment, day, variant in _places(experiments)
    ]
    return partial(service.post_once, "/api/v1/events/", {"mode": "add", "rows": rows})


def _file(service: Service, experiments: list[int], impressions: int) -> Send:
    """A file that sets the total of every row."""
    lines = [
        f"{experiment},{day},{variant},{impressions},0" for experiment, day, variant in _places(experiments)
    ]
    text = "\n".join(["experiment_id,date,variant_name,impressions,clicks", *lines])
    url = f"{service.url}/api/v1/events/csv/"
    return lambda key: requests.post(
        url, files={"file": text}, headers={"Idempotency-Key": key}, timeout=PATIENCE
    )


def _places(experiments: list[int]) -> Iterator[tuple[int, str, str]]:
    days = (yesterday() - dt.timedelta(days=n) for n in range(DAYS))
    variants = (f"v{n}" for n in range(VARIANTS))
    for experiment, day, variant in itertools.product(experiments, days, variants):
        yield experiment, day.isoformat(), variant


def _impressions(service: Service, experiments: list[int]) -> set[int]:
    """The different impressions of all rows, read in one request."""
    found: list[dict[str, Any]] = service.get("/experiments").json()
    return {row["impressions"] for one in found if one["id"] in experiments for row in one["metrics"]}


def _wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def _sockets(pid: int) -> int:
    """The sockets that a process has open: none once it is gone, as a killed one is when gunicorn has seen it."""
    count = 0
    with suppress(FileNotFoundError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                count += os.readlink(descriptor).startswith("socket:")
    return count


def _kill_in_the_middle(service: Service, send: Callable[[], requests.Response], after: float) -> bool:
    """Kill the worker that takes the request. True if it died before it had answered."""
    _wait_until(lambda: len(service.workers()) == WORKERS)
    before = {pid: _sockets(pid) for pid in service.workers()}
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send)
        _wait_until(lambda: sending.done() or _busy(before))
        wait([sending], timeout=after)
        for pid in _busy(before):
            os.kill(pid, signal.SIGKILL)
        return _is_without_answer(sending)


def _busy(before: dict[int, int]) -> list[int]:
    """The workers that have taken a connection since."""
    return [pid for pid, sockets in before.items() if _sockets(pid) > sockets]


def _is_without_answer(sending: "Future[requests.Response]") -> bool:
    try:
        sending.result(PATIENCE)
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        return True
    return False


def _undisturbed(service: Service, target: _Target) -> None:
    send = target.next(service)
    started = time.monotonic()
    send(str(uuid.uuid4())).raise_for_status()
    target.seconds = time.monotonic() - started


def _round(service: Service, target: _Target, load: Load) -> bool:
    """Send one write whose worker is killed, and retry it. True if the kill came in time."""
    send, key = target.next(service), str(uuid.uuid4())
    moment = random.uniform(0, target.seconds)
    killed = _kill_in_the_middle(service, partial(send, key), moment)
    there = _impressions(service, target.experiments)
    assert there in ({target.rounds - 1}, {target.rounds}), "a part of it"
    send_until_acknowledged(load, send, key)
    assert _impressions(service, target.experiments) == {target.rounds}
    return killed


@pytest.mark.parametrize("database", [sqlite, postgresql])
def test_killed_workers__amid_batches_and_files__all_or_nothing_and_exactly_once_in_the_end(
    database: Callable[[], AbstractContextManager[str]], report: Callable[[str], None]
) -> None:
    load, killed = Load(), Counter[str]()
    with database() as url, served(url) as service:
        first, second, third, fourth = make_experiments(service, 4)
        targets = [_Target([first, second], _batch), _Target([third, fourth], _file)]
        for target in targets:
            _undisturbed(service, target)
        for target in itertools.cycle(targets):
            killed[target.make.__name__] += _round(service, target, load)
            if killed.total() >= scaled(3, 50):
                break

    assert set(load.answers) <= {(200, ""), (409, "idempotency_key_in_use")}
    report(
        f"{killed['_batch']} kills amid a batch and {killed['_file']} amid a file of "
        f"{2 * DAYS * VARIANTS:,} rows, {load.replayed} after all of it was written; "
        f"{load.answers[409, 'idempotency_key_in_use']} retries came while the first still ran"
    )
