"""Application servers count; the service is killed twice and they are killed: each journaled event counts once."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bandit_client import Client

from tests.conftest import ROOT
from tests.resilience.databases import sqlite
from tests.resilience.load import impressions_of
from tests.resilience.scale import scaled
from tests.resilience.service import Service, served

SERVERS, EVENTS, KILLS = scaled(4, 100), scaled(5_000, 10_000), scaled(3, 10)


def _start(service: Service, folder: Path, number: int) -> "subprocess.Popen[bytes]":
    notes = folder / f"server-{number}.notes"
    arguments = [service.url, str(folder / "spool"), str(notes), f"server-{number}", str(EVENTS)]
    command = [sys.executable, "-m", "tests.resilience.counting_servers", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "clients/python")])}
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def _kill_service(service: Service) -> None:
    """Kill its workers, as the machine does when memory runs out; gunicorn starts others."""
    for pid in service.workers():
        os.kill(pid, signal.SIGKILL)


def _make_experiment(service: Service) -> int:
    body = {"name": "Experiment 0", "status": "active", "variants": [{"name": "control"}, {"name": "blue"}]}
    response = service.post("/api/v1/experiments/", body)
    assert response.status_code == 201, response.text
    found: int = response.json()["id"]
    return found


def _deliver_what_is_left(service: Service, spool: Path) -> None:
    with Client(service.url, "", spool_dir=spool, flush_interval=3600) as client:
        for _ in range(60):
            client._flush_all()
            if len([path for path in spool.iterdir() if path.is_dir()]) == 1:  # its own
                return
            time.sleep(0.5)


def test_counting_clients__they_and_the_service_are_killed__each_journaled_event_counts_once(
    tmp_path: Path, report: Callable[[str], None]
) -> None:
    with sqlite() as database, served(database) as service:
        experiment = _make_experiment(service)
        running = {n: _start(service, tmp_path, n) for n in range(SERVERS)}
        started = time.monotonic()
        for kill in range(KILLS):
            time.sleep(random.uniform(0.5, 1.5))
            victim = random.choice([n for n, process in running.items() if process.poll() is None])
            running[victim].kill()
            running[victim].wait()
            running[victim] = _start(service, tmp_path, victim)
            if kill < 2:
                _kill_service(service)
        assert {process.wait(600) for process in running.values()} == {0}
        _deliver_what_is_left(service, tmp_path / "spool")
        seconds = time.monotonic() - started
        counted = sum(impressions_of(service, experiment).values())

    # Between journal and note a kill leaves at most one event more than was noted.
    assert SERVERS * EVENTS <= counted <= SERVERS * EVENTS + KILLS
    report(
        f"{SERVERS} servers, {SERVERS * EVENTS:,} events in {seconds:.0f} s, {KILLS} killed, the service twice"
    )
