"""Application servers count; the service is killed twice and they are killed: each journaled event counts once.

The truth is the journals, of which each segment is kept. Between a journal and what a server notes of it, a kill leaves
one visitor at most: journaled, so counted, and counted again when the server comes back and does not know of it.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from bandit_client import Client
from bandit_client.journal import read_journal

from tests.conftest import ROOT
from tests.deployment.installation import wait_until_well
from tests.processes.forks import Process
from tests.resilience.databases import sqlite
from tests.resilience.scale import scaled
from tests.resilience.service import Service, served

SERVERS, VISITORS, KILLS = scaled(4, 100), scaled(4_000, 24_000), scaled(3, 10)
EVENTS = SERVERS * VISITORS * 5 // 4  # one visitor of four clicks


def _start(service: Service, folder: Path, number: int) -> Process:
    arguments = [service.url, str(folder), f"server-{number}", str(VISITORS)]
    command = ["-m", "tests.resilience.counting_servers", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "clients/python")])}
    return Process(command, env=environment)


def _make_experiment(service: Service) -> int:
    body = {"name": "Experiment 0", "status": "active", "variants": [{"name": "control"}, {"name": "blue"}]}
    response = service.post("/api/v1/experiments/", body)
    assert response.status_code == 201, response.text
    found: int = response.json()["id"]
    return found


def _deliver_what_is_left(service: Service, spool: Path) -> None:
    with Client(service.url, "", spool_dir=spool, flush_interval=3600) as client:
        for _ in range(120):
            client._flush_all()
            if len([path for path in spool.iterdir() if path.is_dir()]) == 1:  # its own
                return
            time.sleep(0.5)


def _journaled(kept: Path) -> tuple[int, int]:
    """Count the impressions and clicks of every segment that there was."""
    rows = [row for path in kept.iterdir() for row in read_journal(path).values()]
    return sum(row.impressions for row in rows), sum(row.clicks for row in rows)


def _counted(service: Service, experiment: int) -> tuple[int, int]:
    days = service.get(f"/experiments/{experiment}").json()["metrics"]
    return sum(day["impressions"] for day in days), sum(day["clicks"] for day in days)


def _requests_a_second(log: Path) -> list[int]:
    """Count the answered requests of each second."""
    return sorted(Counter(log.read_text().splitlines()).values())


def test_counting_clients__they_and_the_service_are_killed__each_journaled_event_counts_once(
    tmp_path: Path, report: Callable[[str], None]
) -> None:
    (tmp_path / "kept").mkdir()
    access = tmp_path / "access.log"
    log = ("--access-logfile", str(access), "--access-logformat", "%(t)s")
    with sqlite() as database, served(database, log) as service:
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
                service.kill()
                service.start()
        assert {process.wait(900) for process in running.values()} == {0}
        wait_until_well(f"{service.url}/health", service.log, service.server)
        _deliver_what_is_left(service, tmp_path / "spool")
        seconds = time.monotonic() - started
        counted, rates = _counted(service, experiment), _requests_a_second(access)

    assert counted == _journaled(tmp_path / "kept")
    assert SERVERS * VISITORS <= counted[0] <= SERVERS * VISITORS + KILLS
    report(
        f"{SERVERS} servers, {EVENTS:,} events in {seconds:.0f} s, {KILLS} killed, the service twice: counted "
        f"{counted[0]:,} impressions and {counted[1]:,} clicks, as journaled; requests a second: "
        f"{sum(rates) / len(rates):.0f} on average, {rates[-1]} at most"
    )
