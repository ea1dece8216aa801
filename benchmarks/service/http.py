"""Measure requests per second and latencies.

The project under gunicorn (2 workers) on a PostgreSQL of its own, beside any service with the classic API that
--against names: the same data, the same wrk script, rounds in turn, medians. Loopback only.

    ./dev bench http                                # without and with an API key
    ./dev bench http --against http://127.0.0.1:9000
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

import requests
from tqdm import tqdm

from benchmarks.machine import machine
from tests.postgresql import postgresql

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks/service/wrk/request.lua"
EXPERIMENTS, DAYS, VARIANTS = 50, 30, ("control", "b", "c", "d")
TODAY = dt.datetime.now(tz=dt.UTC).date()


@dataclass
class Target:
    """A running service; ``headers`` go with every request."""

    name: str
    url: str
    headers: list[str] = field(default_factory=list)
    experiment: int = 0

    def session(self) -> requests.Session:
        session = requests.Session()
        session.headers.update(dict(header.split(": ", 1) for header in self.headers))
        return session


@dataclass(frozen=True)
class Call:
    """A call to measure, with its ``bodies`` in turn. A ``classic`` one is measured on --against too."""

    name: str
    method: str
    path: str
    bodies: Sequence[dict[str, Any]] = ()
    classic: bool = True
    conditional: bool = False
    media_type: str = "application/json"


def main() -> None:
    options = _options()
    install_wrk_if_absent()
    with (
        postgresql() as database,
        served(database, key=False) as plain,
        served(database, key=True) as keyed,
    ):
        targets = [plain, keyed]
        if options.against:
            targets.append(Target("against", options.against.rstrip("/")))
        fill(plain)
        keyed.experiment = plain.experiment
        if options.against:
            fill(targets[-1])
        print(machine())
        print(f"{EXPERIMENTS} experiments, {DAYS} days, {len(VARIANTS)} variants; {options.clients} clients,")
        print(f"{options.rounds} rounds of {options.seconds} s in turn, medians; latencies in milliseconds")
        _table(targets, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench http", description=__doc__)
    parser.add_argument(
        "--against", help="Base URL of another service with the classic API, on this machine."
    )
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    # Few connections spread unevenly over the two workers, and the figures would show that.
    parser.add_argument("--clients", type=int, default=32)
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
    v1 = f"/api/v1/experiments/{e}/allocation/"
    return [
        Call("POST /events, 4 variants", "POST", "/events", days),
        Call("GET /allocation, nothing new", "GET", f"/allocation?experiment_id={e}"),
        Call("GET /experiments/{id}/history", "GET", f"/experiments/{e}/history"),
        Call(f"GET /experiments, {EXPERIMENTS} of them", "GET", "/experiments"),
        Call("GET /health", "GET", "/health"),
        Call(
            "POST /api/v1/events/, 1,000 rows",
            "POST",
            "/api/v1/events/",
            [{"rows": rows} for rows in batches],
            classic=False,
        ),
        Call("GET /api/v1/.../allocation/", "GET", v1, classic=False),
        Call("the same with If-None-Match", "GET", v1, classic=False, conditional=True),
    ]


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
        session.get(f"{target.url}/allocation", params={"experiment_id": pk}).raise_for_status()


@contextmanager
def served(database: str, *, key: bool, scope: str = "write") -> Iterator[Target]:
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
        "API_KEY_REQUIRED": str(key).lower(),
        "LOG_LEVEL": "WARNING",
    }
    manage = [sys.executable, str(ROOT / "manage.py")]
    subprocess.run([*manage, "migrate", "--verbosity", "0"], env=environment, check=True)
    headers = []
    if key:
        made = subprocess.run(
            [*manage, "create_api_key", "bench", "--scope", scope],
            env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        headers = [f"Authorization: Api-Key {made.stdout.strip()}"]
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
    with subprocess.Popen([*gunicorn, "--bind", f"127.0.0.1:{port}"], env=environment, cwd=ROOT) as server:
        target = Target("with a key" if key else "this", f"http://127.0.0.1:{port}", headers)
        try:
            _wait_until_up(target.url)
            yield target
        finally:
            server.terminate()


def _wait_until_up(url: str) -> None:
    for _ in range(100):
        try:
            if requests.get(f"{url}/health", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.1)
    sys.exit(f"{url} did not start")


def _table(targets: Sequence[Target], options: argparse.Namespace) -> None:
    print(f"\n{'':34}{'':12}{'req/s':>8}{'p50':>9}{'p95':>9}{'p99':>9}{'errors':>8}")
    for index, call in enumerate(_calls(targets[0])):
        if options.only not in call.name:
            continue
        taking_part = [target for target in targets if call.classic or target.name != "against"]
        results: dict[str, list[dict[str, float]]] = {target.name: [] for target in taking_part}
        for _ in range(options.rounds):
            for target in taking_part:
                results[target.name].append(wrk(target, _calls(target)[index], options))
        for name, rounds in results.items():
            rate = statistics.median(r["requests"] / r["seconds"] for r in rounds)
            times = "".join(f"{statistics.median(r[p] for r in rounds):9.1f}" for p in ("p50", "p95", "p99"))
            errors = int(sum(r["errors"] for r in rounds))
            print(f"{call.name if name == 'this' else '':34}{name:12}{rate:8,.0f}{times}{errors:8}")


def wrk(target: Target, call: Call, options: argparse.Namespace) -> dict[str, float]:
    headers = list(target.headers)
    if call.media_type != "application/json":
        headers.append(f"Content-Type: {call.media_type}")
    if call.conditional:
        first = target.session().request(
            call.method, target.url + call.path, json=next(iter(call.bodies), None)
        )
        headers.append(f"If-None-Match: {first.headers['ETag']}")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as body:
        body.writelines(f"{json.dumps(one)}\n" for one in call.bodies)
        body.flush()
        output = subprocess.run(
            [
                *("wrk", "--threads", "1", "--connections", str(options.clients)),
                *("--duration", f"{options.seconds}s", "--timeout", "30s", "--script", str(SCRIPT)),
                *(target.url + call.path, "--", call.method, body.name if call.bodies else "-", *headers),
            ],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    line = next(line for line in output.splitlines() if line.startswith("JSON "))
    answer: dict[str, float] = json.loads(line[5:])
    return answer


if __name__ == "__main__":
    main()
