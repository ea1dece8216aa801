"""Measure requests per second, CPU time per request and latencies.

The project under gunicorn (2 workers) on a PostgreSQL of its own, as production has it: an API key, LOG_LEVEL=INFO.
Beside it any service with the classic API that --against names: the same data, the same wrk script, rounds in turn,
medians. Loopback only. CPU time is that of the server and of its PostgreSQL together: it says more on a busy machine.

    ./dev bench http
    ./dev bench http --against http://127.0.0.1:9000 --against-database "postgresql://postgres:@/old?host=/tmp/old"
    ./dev bench http --clients 256 --seconds 60 --rounds 1 --only "POST /events"
"""

import argparse
import datetime as dt
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import django
import psycopg
import requests
from tqdm import tqdm

from benchmarks.machine import machine
from benchmarks.service.cpu import cpu_seconds
from tests.postgresql import postgresql

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks/service/wrk/request.lua"
EXPERIMENTS, DAYS, VARIANTS = 50, 30, ("control", "b", "c", "d")
# Of the mixed traffic: how many reads follow a write.
_READS = 10
TODAY = dt.datetime.now(tz=dt.UTC).date()


@dataclass
class Target:
    """A running service and its database; ``headers`` go with every request."""

    name: str
    url: str
    database: str = ""
    headers: list[str] = field(default_factory=list)
    experiment: int = 0

    @property
    def command_lines(self) -> list[bytes]:
        """Parts of them: gunicorn's have its address, uvicorn's its port, PostgreSQL's first process has its folder."""
        port = self.url.rpartition(":")[2]
        folder = self.database.partition("host=")[2]
        return [part.encode() for part in (f":{port}", f"\0{port}\0", folder) if part]

    def session(self) -> requests.Session:
        session = requests.Session()
        session.headers.update(dict(header.split(": ", 1) for header in self.headers))
        return session


@dataclass(frozen=True)
class Call:
    """A call to measure, with its ``bodies`` in turn. A ``classic`` one is measured on --against too.

    ``turns``: other calls instead, in turn, each a method, a path and a body or None.
    """

    name: str
    method: str
    path: str
    bodies: Sequence[dict[str, Any]] = ()
    classic: bool = True
    conditional: bool = False
    media_type: str = "application/json"
    turns: Sequence[tuple[str, str, dict[str, Any] | None]] = ()

    def lines(self) -> Iterator[str]:
        own = [(self.method, self.path, body) for body in self.bodies or (None,)]
        for method, path, body in self.turns or own:
            yield f"{method}\t{path}\t{json.dumps(body) if body is not None else ''}\n"


def main() -> None:
    options = _options()
    install_wrk_if_absent()
    with postgresql() as database, served(database) as this:
        targets = [this]
        fill(this)
        decide_every_date(database)
        if options.against:
            targets.append(Target("against", options.against.rstrip("/"), options.against_database))
            fill(targets[-1])
            spread_over_dates(targets[-1])
        print(machine())
        print(
            f"{EXPERIMENTS} experiments of {len(VARIANTS)} variants, {DAYS} days of data and of decisions; key, INFO;"
        )
        print(
            f"{options.clients} clients, {options.rounds} rounds of {options.seconds} s in turn, medians; milliseconds"
        )
        _table(targets, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench http", description=__doc__)
    parser.add_argument(
        "--against", help="Base URL of another service with the classic API, on this machine."
    )
    parser.add_argument("--against-database", default="", help="Its PostgreSQL, to date its decisions back.")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--only", default="", help="Only the calls whose name holds this text.")
    return parser.parse_args()


def install_wrk_if_absent() -> None:
    if shutil.which("wrk") is not None:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        sys.exit("wrk is needed and was not found: install the package 'wrk'.")
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "wrk"]):
        subprocess.run(command, check=True, stdout=sys.stderr)


def _calls(target: Target) -> list[Call]:
    e = target.experiment
    four = [{"variant_name": name, "impressions": 1000, "clicks": 50} for name in VARIANTS]
    days = [{"experiment_id": e + n, "date": TODAY.isoformat(), "variants": four} for n in range(EXPERIMENTS)]
    # each batch: 25 days of ten experiments, another ten each time
    batches = [
        [
            {"experiment_id": e + n + k % 10, "date": str(TODAY - dt.timedelta(k // 40)), **four[k // 10 % 4]}
            for k in range(1000)
        ]
        for n in range(0, EXPERIMENTS, 10)
    ]
    units = [{"units": [f"visitor-{n}" for n in range(1000)]}]
    v1 = f"/api/v1/experiments/{e}/allocation/"
    return [
        Call("POST /events, 4 variants", "POST", "/events", days),
        Call("GET /experiments/{id}/history", "GET", f"/experiments/{e}/history"),
        Call("GET /allocation, nothing new", "GET", f"/allocation?experiment_id={e}"),
        Call(f"1 POST to {_READS} GET /allocation", "GET", "/", turns=_mixed(e)),
        Call("GET /health", "GET", "/health"),
        Call(f"GET /experiments/, {EXPERIMENTS} of them", "GET", "/experiments/"),
        Call(
            "POST v1 events, 1,000 rows",
            "POST",
            "/api/v1/events/",
            [{"rows": b} for b in batches],
            classic=False,
        ),
        Call("GET v1 allocation", "GET", v1, classic=False),
        Call("the same with If-None-Match", "GET", v1, classic=False, conditional=True),
        Call(
            "GET v1 assignment, one unit",
            "GET",
            f"/api/v1/experiments/{e}/assignment/?unit=u1",
            classic=False,
        ),
        Call(
            "POST v1 assignments, 1,000",
            "POST",
            f"/api/v1/experiments/{e}/assignments/",
            units,
            classic=False,
        ),
    ]


def _mixed(first: int) -> list[tuple[str, str, dict[str, Any] | None]]:
    """List a day's other totals of one experiment after the other, each followed by reads of its allocation."""
    turns: list[tuple[str, str, dict[str, Any] | None]] = []
    for n in range(20 * EXPERIMENTS):
        pk = first + n % EXPERIMENTS
        counts = [
            {"variant_name": name, "impressions": 1000 + n, "clicks": 50 + i}
            for i, name in enumerate(VARIANTS)
        ]
        turns.append(
            ("POST", "/events", {"experiment_id": pk, "date": TODAY.isoformat(), "variants": counts})
        )
        turns += [("GET", f"/allocation?experiment_id={pk}", None)] * _READS
    return turns


def fill(target: Target) -> None:
    """Fill each target with equal data, through the classic API."""
    session = target.session()
    ids = [
        session.post(f"{target.url}/experiments", json={"name": f"Bench {n}", "description": ""}).json()["id"]
        for n in range(EXPERIMENTS)
    ]
    target.experiment = min(ids)
    for pk in tqdm(ids, desc=f"filling {target.name}", leave=False):
        for age in range(DAYS):
            day = str(TODAY - dt.timedelta(days=age))
            variants = [
                {"variant_name": name, "impressions": 1000 + age, "clicks": 50 + i, "conversions": 5}
                for i, name in enumerate(VARIANTS)
            ]
            body = {"experiment_id": pk, "date": day, "variants": variants}
            session.post(f"{target.url}/events", json=body).raise_for_status()


def decide_every_date(database: str) -> None:
    """Decide for each date, as a scheduler would have done; the service decides for today only."""
    os.environ |= {
        "DATABASE_URL": database,
        "DJANGO_SETTINGS_MODULE": "bandit_project.settings",
        "DEBUG": "true",
    }
    os.environ["LOG_LEVEL"] = "ERROR"
    django.setup()
    from allocation.services import compute_allocations
    from experiments.models import Experiment

    ids = list(Experiment.objects.order_by("pk").values_list("pk", flat=True))
    for age in tqdm(range(DAYS - 1, -1, -1), desc="deciding", leave=False):
        date = TODAY - dt.timedelta(days=age)
        compute_allocations(
            experiment_ids=ids, target_date=date, now=dt.datetime.now(tz=dt.UTC), announce=False
        )


def spread_over_dates(target: Target) -> None:
    """Have the other service decide as often, and date its decisions back; a history is as long as ours then."""
    session = target.session()
    for n in tqdm(range(EXPERIMENTS * DAYS), desc="deciding", leave=False):
        wanted = {"experiment_id": target.experiment + n % EXPERIMENTS}
        session.get(f"{target.url}/allocation", params=wanted).raise_for_status()
    if target.database:
        with psycopg.connect(target.database) as connection:
            connection.execute(
                "UPDATE allocations SET target_date = target_date - of_experiment.age::int FROM (SELECT id, "
                "row_number() OVER (PARTITION BY experiment_id ORDER BY id DESC) - 1 AS age FROM allocations) "
                "of_experiment WHERE of_experiment.id = allocations.id"
            )


@contextmanager
def served(database: str, *, scope: str = "write", log_level: str = "INFO") -> Iterator[Target]:
    """Start gunicorn with two workers, in production's settings except for the hosts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "DATABASE_URL": database,
        "DEBUG": "false",
        "SECRET_KEY": "benchmark-" * 6,
        "ALLOWED_HOSTS": "127.0.0.1",
        "SECURE_SSL_REDIRECT": "false",
        "API_KEY_REQUIRED": "true",
        "LOG_LEVEL": log_level,
    }
    manage = [sys.executable, str(ROOT / "manage.py")]
    subprocess.run([*manage, "migrate", "--verbosity", "0"], env=environment, check=True)
    made = subprocess.run(
        [*manage, "create_api_key", "bench", "--scope", scope],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    gunicorn = [
        sys.executable,
        "-m",
        "gunicorn",
        "bandit_project.wsgi",
        "--workers",
        "2",
        "--log-level",
        "warning",
    ]
    with (
        tempfile.TemporaryFile() as log,  # lines cost what they cost where they are kept
        subprocess.Popen(
            [*gunicorn, "--bind", f"127.0.0.1:{port}"], env=environment, cwd=ROOT, stdout=log, stderr=log
        ) as server,
    ):
        key = f"Authorization: Api-Key {made.stdout.strip()}"
        target = Target("this", f"http://127.0.0.1:{port}", database, [key])
        try:
            _wait_until_up(target.url)
            yield target
        finally:
            server.terminate()


def _wait_until_up(url: str) -> None:
    for _ in range(600):
        try:
            if requests.get(f"{url}/health", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.1)
    sys.exit(f"{url} did not start")


def _table(targets: Sequence[Target], options: argparse.Namespace) -> None:
    print(f"\n{'':32}{'':9}{'req/s':>8}{'CPU':>9}{'p50':>9}{'p95':>9}{'p99':>9}{'errors':>8}")
    for index, call in enumerate(_calls(targets[0])):
        if options.only not in call.name:
            continue
        taking_part = [target for target in targets if call.classic or target.name != "against"]
        results: dict[str, list[dict[str, float]]] = {target.name: [] for target in taking_part}
        for _ in range(options.rounds):
            for target in taking_part:
                results[target.name].append(wrk(target, _calls(target)[index], options))
        for name, rounds in results.items():
            _print_medians(call.name if name == "this" else "", name, rounds)
        if len(results) > 1:
            _print_ratios(results)


def _print_medians(call: str, name: str, rounds: Sequence[dict[str, float]]) -> None:
    rate = statistics.median(r["requests"] / r["seconds"] for r in rounds)
    cpu = 1000 * statistics.median(r["cpu"] for r in rounds)
    times = "".join(f"{statistics.median(r[p] for r in rounds):9.1f}" for p in ("p50", "p95", "p99"))
    errors = int(sum(r["errors"] for r in rounds))
    print(f"{call:32}{name:9}{rate:8,.0f}{cpu:9.2f}{times}{errors:8}", flush=True)


def _print_ratios(results: dict[str, list[dict[str, float]]]) -> None:
    """Print how many times as many requests, and how many times less CPU; of rounds in turn, each pair by itself."""
    pairs = list(zip(results["this"], results["against"], strict=True))
    rate = statistics.median(
        a["requests"] / a["seconds"] / max(b["requests"] / b["seconds"], 0.01) for a, b in pairs
    )
    cpu = statistics.median(b["cpu"] / max(a["cpu"], 1e-9) for a, b in pairs)
    print(f"{'':32}{'times':9}{rate:8.1f}{cpu:9.1f}", flush=True)


def wrk(target: Target, call: Call, options: argparse.Namespace) -> dict[str, float]:
    """Run one round and return wrk's figures, and ``cpu``: seconds of the service for each request."""
    headers = list(target.headers)
    if call.media_type != "application/json":
        headers.append(f"Content-Type: {call.media_type}")
    if call.conditional:
        first = target.session().request(
            call.method, target.url + call.path, json=next(iter(call.bodies), None)
        )
        headers.append(f"If-None-Match: {first.headers['ETag']}")
    with (
        tempfile.NamedTemporaryFile("w", suffix=".tsv") as requests_file,
        cpu_seconds(target.command_lines) as used,
    ):
        requests_file.writelines(call.lines())
        requests_file.flush()
        output = subprocess.run(
            [
                *("wrk", "--threads", "1", "--connections", str(options.clients)),
                *("--duration", f"{options.seconds}s", "--timeout", "30s", "--script", str(SCRIPT)),
                *(target.url, "--", requests_file.name, *headers),
            ],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    line = next(line for line in output.splitlines() if line.startswith("JSON "))
    answer: dict[str, float] = json.loads(line[5:])
    return {**answer, "cpu": used[0] / max(answer["requests"], 1)}


if __name__ == "__main__":
    main()
