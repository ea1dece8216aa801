"""Calls to a database with many experiments, in rounds: in turn with those to another database, so that whatever the
machine does meanwhile concerns both alike.

The CPU of PostgreSQL is that of the process that answers, which the kernel counts in nanoseconds. What its other
processes do meanwhile, such as writing what the filling left, is printed beside it and is not a call's.
"""

import datetime as dt
import io
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from wsgiref.util import setup_testing_defaults

from benchmarks.service.cpu import cpu_seconds

ROUNDS = 9
# Calls of a round, to fifty experiments in turn.
_TIMES, _FEW = 1000, 50
# A connection that has been idle is opened again, and prepares its statements.
_WARM = 2 * _FEW
# What a round measures, in this order: the first GET of an experiment after its POST is a miss, the others are hits.
CALLS = {
    "post": "POST /events, 4 variants",
    "miss": "GET /allocation, a miss",
    "hit": "GET /allocation, a hit",
}
Work = Sequence[Callable[[], object]]


class Cost(NamedTuple):
    """Milliseconds a call: CPU of this process, of the one of PostgreSQL that answers and of its others, and wall."""

    client: float
    backend: float
    others: float
    wall: float

    @property
    def cpu(self) -> float:
        return self.client + self.backend


class Rounds:
    """Measures the calls of a round, time and again."""

    def __init__(self, folder: str, ids: Sequence[int], variants: Sequence[str]) -> None:
        from django.db import connection

        # one connection until the end, whose process is looked at; it is opened again after a minute otherwise
        connection.close()
        connection.settings_dict["CONN_MAX_AGE"] = None
        self._folder, self._caller = folder, Caller(variants)
        some = ids[:: max(1, len(ids) // _FEW)][:_FEW]
        self._gets = [self._caller.get(pk) for pk in some]
        self._some, self._done = some, 0

    def run(self) -> dict[str, Cost]:
        """Measure one round; the numbers that it writes are others than the round's before."""
        for call in islice(cycle(self._gets), _WARM):
            call()
        self._done += 1
        today = dt.datetime.now(tz=dt.UTC).date().isoformat()
        posts = [
            self._caller.post(pk, today, n // _FEW + self._done)
            for n, pk in enumerate(islice(cycle(self._some), _TIMES))
        ]
        hits = list(islice(cycle(self._gets), _TIMES))
        work = {"post": posts, "miss": self._gets, "hit": hits}
        return {name: cost_of(self._folder, work[name]) for name in CALLS}

    def get(self, pk: int) -> Callable[[], object]:
        return self._caller.get(pk)


class Caller:
    """Calls the application as a server does, with a key of scope write."""

    def __init__(self, variants: Sequence[str]) -> None:
        from bandit_project.administration.keys import create_key
        from bandit_project.models import Scope
        from bandit_project.wsgi import application

        _key, secret = create_key(name="bench", scope=Scope.WRITE, days=None, now=dt.datetime.now(tz=dt.UTC))
        self._application, self._authorization = application, f"Api-Key {secret}"
        self._variants = variants

    def get(self, pk: int) -> Callable[[], object]:
        return lambda: self._call("GET", "/allocation", query=f"experiment_id={pk}")

    def post(self, pk: int, date: str, clicks: int) -> Callable[[], object]:
        variants = [{"variant_name": name, "impressions": 1000, "clicks": clicks} for name in self._variants]
        body = json.dumps({"experiment_id": pk, "date": date, "variants": variants}).encode()
        return lambda: self._call("POST", "/events", body=body)

    def _call(self, method: str, path: str, query: str = "", body: bytes = b"") -> None:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "HTTP_HOST": "testserver",
            "HTTP_AUTHORIZATION": self._authorization, "HTTP_X_FORWARDED_PROTO": "https",
            "wsgi.input": io.BytesIO(body), "wsgi.url_scheme": "https", "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": "application/json", "REMOTE_ADDR": "127.0.0.1",
        }  # fmt: skip
        setup_testing_defaults(environ)
        status: list[str] = []
        answer = self._application(environ, lambda line, _headers, _error=None: status.append(line))
        text = b"".join(answer)
        getattr(answer, "close", lambda: None)()
        if not status[0].startswith("2"):
            sys.exit(f"{method} {path}?{query} answered {status[0]}: {text[:300]!r}")


def cost_of(folder: str, work: Work) -> Cost:
    """Measure calls, all made by this process on one connection."""
    with cpu_seconds([folder.encode()]) as all_used, _backend_seconds() as used:
        wall, client = time.perf_counter(), time.process_time()
        for call in work:
            call()
        wall, client = time.perf_counter() - wall, time.process_time() - client
    others = max(all_used[0] - used[0], 0.0)
    return Cost(*(1000 * seconds / len(work) for seconds in (client, used[0], others, wall)))


@contextmanager
def _backend_seconds() -> Iterator[list[float]]:
    """Give the CPU time that the process of PostgreSQL used which serves this one's connection."""
    from django.db import connection

    connection.ensure_connection()
    stat = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")
    used: list[float] = []
    before = int(stat.read_text().split()[0])
    yield used
    used.append((int(stat.read_text().split()[0]) - before) / 1e9)


def print_head() -> None:
    print(f"\n{'milliseconds a call':44}{'CPU':>8}{'PostgreSQL':>12}{'its others':>12}{'wall':>8}")


def print_cost(name: str, cost: Cost) -> Cost:
    print(f"{name:44}{cost.client:8.2f}{cost.backend:12.2f}{cost.others:12.2f}{cost.wall:8.2f}", flush=True)
    return cost


def middle(costs: Sequence[Cost]) -> Cost:
    """Return the round whose CPU is the median of all."""
    return sorted(costs, key=lambda cost: cost.cpu)[len(costs) // 2]


def times_of(many: Sequence[Cost], few: Sequence[Cost]) -> float:
    """Compare rounds that were measured one after the other: the median of how many times the CPU it was."""
    return median(one.cpu / other.cpu for one, other in zip(many, few, strict=True))
