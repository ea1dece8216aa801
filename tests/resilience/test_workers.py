"""Workers behind a real broker, of which one is killed in the middle: nothing is lost, and nothing done twice."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis

from bandit_project import __version__
from tests.deployment.installation import free_port
from tests.processes.forks import Process
from tests.resilience.databases import postgresql

EXPERIMENTS, FEW, DAYS, FILES = 64, 8, 6, 24
# The shortest time after which a dead worker's task goes to another.
RETRY_SECONDS = "10"
# celery's command, with the code of a version.
_CELERY = "import bandit_project; bandit_project.__version__ = {version!r}; from celery.__main__ import main; main()"
# Loaded by each program that has a broker, and by a worker, apart from our own code.
_LIBRARIES = (
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.fixups.django",
    "kombu.transport.redis",
)
_SEED = f"""
import datetime as dt
from django.utils import timezone
from experiments.ingestion.record import record_events
from experiments.metrics import DailyCounts
from experiments.services import create_experiment

today = timezone.localdate()
for number in range({{experiments}}):
    made = create_experiment(name=f"Test {{{{number}}}}", now=timezone.now())
    rows = [
        DailyCounts(today - dt.timedelta(days=day), name, 1000, clicks + number % 7, 0)
        for day in range({DAYS}) for name, clicks in (("control", 70), ("variant_b", 80))
    ]
    record_events(experiment_id=made.pk, rows=rows, today=today, now=timezone.now())
"""


class Crew:
    """A database, a broker, and workers that the tests start and kill."""

    def __init__(self, folder: Path, database: str, port: int, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        # One for all questions: those who wait ask often, and each new connection is a new process.
        self._connection = stack.enter_context(psycopg.connect(database, autocommit=True))
        self.broker = f"redis://127.0.0.1:{port}/0"
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "DEBUG": "true",
            "DATABASE_URL": database,
            "CELERY_BROKER_URL": self.broker,
            "WORKER_RETRY_SECONDS": RETRY_SECONDS,
            "SCHEDULER_ALLOCATE_AT": "00:00",
            "OPENBLAS_NUM_THREADS": "1",
        }

    def manage(self, *arguments: str, **variables: str) -> str:
        environment = self.environment | variables
        with Process(["manage.py", *arguments], env=environment, libraries=_LIBRARIES) as command:
            output, errors = command.communicate()
        assert command.returncode == 0, errors
        return output

    def seed(self, experiments: int) -> None:
        """Make experiments with some days."""
        self.manage("shell", "--no-imports", "--command", _SEED.format(experiments=experiments))

    def begin(self, *arguments: str) -> Process:
        output = self._stack.enter_context((self._folder / "command.log").open("w"))
        process = Process(
            ["manage.py", *arguments],
            env=self.environment,
            libraries=_LIBRARIES,
            stdout=output,
            stderr=output,
        )
        self._stack.callback(_kill, process)
        return process

    def worker(self, name: str, version: str = __version__) -> Process:
        """Start a worker of one process, in a group that can be killed as a machine dies; return once it is ready."""
        log = self._folder / f"{name}.log"
        output = self._stack.enter_context(log.open("w"))
        options = (
            "--app",
            "bandit_project.workers",
            "worker",
            "--concurrency",
            "1",
            "--hostname",
            f"{name}@here",
        )
        process = Process(
            ["-c", _CELERY.format(version=version), *options], env=self.environment, libraries=_LIBRARIES,
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
        self._stack.callback(_kill_group, process)
        _wait_until(lambda: "ready" in log.read_text(), log)
        return process

    def log(self) -> str:
        return (self._folder / "command.log").read_text()

    def ask(self, sql: str) -> int:
        row = self._connection.execute(sql).fetchone()
        assert row is not None
        return int(row[0])

    def wait_for(self, sql: str, least: int) -> None:
        _wait_until(lambda: self.ask(sql) >= least, self._folder / "command.log")


def _kill(process: Process) -> None:
    process.kill()
    process.wait()


def _kill_group(process: Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _kill_child(process: Process) -> None:
    """Kill the process of a worker that does the work, as a machine without memory does."""
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    os.kill(int(children.stdout.split()[0]), signal.SIGKILL)


def _wait_until(is_so: Callable[[], bool], log: Path, seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


@contextmanager
def _broker(folder: str) -> Iterator[int]:
    server = shutil.which("redis-server")
    assert server, "install redis-server, as ./dev test does"
    port = free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder)
    with subprocess.Popen([server, *options], stdout=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.terminate()


@pytest.fixture
def crew() -> Iterator[Crew]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bandit-"))
        database = stack.enter_context(postgresql())
        port = stack.enter_context(_broker(folder))
        yield Crew(Path(folder), database, port, stack)


ALLOCATIONS = "SELECT count(*) FROM allocation_allocation"


def test_sweep__worker_and_process_killed_in_the_middle__decides_each_experiment_once(crew: Crew) -> None:
    crew.seed(EXPERIMENTS)
    first, second = crew.worker("first"), crew.worker("second")

    sweep = crew.begin("scheduler", "--once")
    crew.wait_for(ALLOCATIONS, 5)
    _kill_child(second)
    _kill_group(first)
    assert sweep.wait(timeout=400) == 0, crew.log()

    assert crew.ask(ALLOCATIONS) == EXPERIMENTS
    assert crew.ask(f"{ALLOCATIONS} WHERE revision = 1 AND target_date = current_date") == EXPERIMENTS
    assert crew.ask("SELECT count(*) FROM bandit_project_jobrun WHERE name = 'allocate'") == 1
    assert f"{EXPERIMENTS} " in crew.manage("verify_ledger")


@pytest.mark.parametrize("broker", ["without workers", "workers of another version", "away", "silent"])
def test_sweep__nobody_to_ask__is_done_by_the_scheduler(crew: Crew, broker: str) -> None:
    crew.seed(FEW)
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        places = {"away": 1, "silent": silent.getsockname()[1]}
        if broker in places:
            crew.environment["CELERY_BROKER_URL"] = f"redis://127.0.0.1:{places[broker]}/0"
        elif broker != "without workers":
            crew.worker("old", version="0.0.9")

        assert crew.begin("scheduler", "--once").wait(timeout=400) == 0, crew.log()

    assert crew.ask(ALLOCATIONS) == FEW
    assert "it goes on without workers" in crew.log()
    with Redis.from_url(crew.broker) as redis:
        queues = redis.keys(f"bandit-{__version__}-*")
        queued = [json.loads(message) for queue in queues for message in redis.lrange(queue, 0, -1)]
    # no worker of another version has taken any
    assert bool(queued) == (broker not in places)
    assert all(message["headers"]["expires"] for message in queued)  # nobody does them another day


def test_imports__worker_killed_in_the_middle__records_each_file_once(crew: Crew, tmp_path: Path) -> None:
    crew.seed(1)
    files = [tmp_path / f"{number}.csv" for number in range(FILES)]
    for number, file in enumerate(files):
        rows = "".join(f"2025-{1 + number // 2:02}-{day:02},new,100,{number}\n" for day in range(1, 29))
        file.write_text(f"date,variant_name,impressions,clicks\n{rows}")
    first, second = crew.worker("first"), crew.worker("second")
    recorded = (
        "SELECT count(*) FROM experiments_historicalexperiment WHERE history_change_reason LIKE '%uploaded%'"
    )

    queue = crew.begin("queue_imports", *map(str, files), "--experiment", "test-0")
    crew.wait_for(recorded, 2)
    _kill_group(first)
    _kill_child(second)
    assert queue.wait(timeout=400) == 0, crew.log()

    assert crew.ask(recorded) == FILES
    assert crew.ask("SELECT count(*) FROM experiments_csvupload") == 0
    assert crew.ask("SELECT sum(impressions) FROM experiments_dailymetric m JOIN experiments_variant v"
                    " ON v.id = m.variant_id WHERE v.name = 'new'") == FILES // 2 * 28 * 100  # fmt: skip


def test_backtest__by_workers__has_the_numbers_of_one_process(crew: Crew) -> None:
    crew.worker("first")
    asked = ("backtest", "benchmarks/data/upworthy_tests.csv", "--json", "--days", "3", "--runs", "1")

    by_workers = json.loads(crew.manage(*asked))
    here = json.loads(crew.manage(*asked, CELERY_BROKER_URL=""))

    assert by_workers == here
    assert set(_policies(here)) == {"thompson", "even"}


def _policies(report: dict[str, Any]) -> dict[str, Any]:
    policies: dict[str, Any] = report["policies"]
    return policies
