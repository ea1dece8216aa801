"""Clients that behave: each write has an Idempotency-Key of its own and is sent again until it is acknowledged."""

import datetime as dt
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import requests

from bandit_project.api.errors import PROBLEM_JSON
from tests.resilience.service import Service

PATIENCE = 300  # seconds to wait for something before the test fails: by then it hangs
RETRY_AFTER = 0.05  # sooner than the service asks: these clients are to be a burden

Answer = tuple[int, str]  # status, and a problem's code


def yesterday() -> dt.date:
    """A day that stays in the past even if midnight passes during the test."""
    return dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)


def answer_of(response: requests.Response) -> Answer:
    """The status, and the code of a refusal, which must be a problem in JSON."""
    if response.ok:
        return response.status_code, ""
    assert response.headers["Content-Type"] == PROBLEM_JSON, (response.status_code, response.text[:500])
    return response.status_code, response.json()["code"]


def increments(experiments: Sequence[int], variant: str, impressions: int) -> dict[str, Any]:
    """A batch with one increment for each experiment."""
    place = {
        "date": yesterday().isoformat(),
        "variant_name": variant,
        "impressions": impressions,
        "clicks": 0,
    }
    return {"mode": "add", "rows": [{"experiment_id": experiment, **place} for experiment in experiments]}


def make_experiments(service: Service, count: int) -> list[int]:
    made = [
        service.post("/api/v1/experiments/", {"name": f"Experiment {n}", "status": "active"})
        for n in range(count)
    ]
    assert {response.status_code for response in made} == {201}, made[0].text
    return [response.json()["id"] for response in made]


def impressions_of(service: Service, experiment: int) -> dict[str, int]:
    """The impressions of each variant, over all days."""
    sums: Counter[str] = Counter()
    for row in service.get(f"/experiments/{experiment}").json()["metrics"]:
        sums[row["variant_name"]] += row["impressions"]
    return dict(sums)


@dataclass
class Load:
    """The answers that the clients of a block saw; ``sent`` and ``acknowledged`` count by client."""

    answers: Counter[Answer] = field(default_factory=Counter)
    sent: Counter[int] = field(default_factory=Counter)
    acknowledged: Counter[int] = field(default_factory=Counter)
    replayed: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def note(self, response: requests.Response) -> None:
        with self._news:
            self.answers[answer_of(response)] += 1
            self.replayed += "Idempotent-Replayed" in response.headers
            self._news.notify_all()

    def note_done(self, client: int, impressions: int) -> None:
        with self._news:
            self.acknowledged[client] += 1
            self.sent[client] += impressions
            self._news.notify_all()

    def end(self) -> None:
        with self._news:
            self.ended.set()
            self._news.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, or until a client fails: its error is raised when the block ends."""
        with self._news:
            assert self._news.wait_for(lambda: self.ended.is_set() or condition(), PATIENCE), self.answers

    def sent_by_variant(self) -> dict[str, int]:
        """The impressions that ``writers`` must have left in each of their experiments."""
        return {f"of client {client}": impressions for client, impressions in self.sent.items()}

    def wait_for_more(self, answer: Answer, more: int) -> None:
        enough = self.answers[answer] + more
        self.wait_for(lambda: self.answers[answer] >= enough)

    def wait_for_everyone(self, more: int = 1) -> None:
        """Wait until each client has had ``more`` writes acknowledged from now on."""
        before = Counter(self.acknowledged)
        self.wait_for(lambda: all(self.acknowledged[c] >= before[c] + more for c in before))


def send_until_acknowledged(
    load: Load, send: Callable[[str], requests.Response], key: str = ""
) -> requests.Response:
    """Send a write under one key, by default a new one, again while the service asks for that."""
    key, deadline = key or str(uuid.uuid4()), time.monotonic() + PATIENCE
    while True:
        response = send(key)
        load.note(response)
        if response.status_code not in (409, 503):
            response.raise_for_status()
            return response
        assert time.monotonic() < deadline, load.answers
        time.sleep(RETRY_AFTER)


@contextmanager
def at_once(load: Load, actions: Sequence[Callable[[], None]]) -> Iterator[None]:
    """Start a client for each action, which repeats it until the block ends."""

    def repeat(action: Callable[[], None]) -> None:
        try:
            while not load.ended.is_set():
                action()
        finally:
            load.end()

    with ThreadPoolExecutor(len(actions)) as pool:
        running = [pool.submit(repeat, action) for action in actions]
        try:
            yield
        finally:
            load.end()
    for client in running:
        client.result()


@contextmanager
def writers(service: Service, experiments: Sequence[int], count: int) -> Iterator[Load]:
    """Start ``count`` clients that add to every experiment, each to its own variant, until the block ends."""
    load = Load(acknowledged=Counter(dict.fromkeys(range(count), 0)))

    def write(client: int) -> None:
        # different sizes, so that a lost write and a doubled one do not make the right sum
        impressions = 1 + load.acknowledged[client] % 97
        body = increments(experiments, f"of client {client}", impressions)
        send_until_acknowledged(load, partial(service.post_once, "/api/v1/events/", body))
        load.note_done(client, impressions)

    with at_once(load, [partial(write, client) for client in range(count)]):
        yield load
