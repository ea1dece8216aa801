"""Run the production compose file with its workers on a real engine, and kill one in the middle.

    ./dev bench workers                          # in a temporary folder; needs docker with compose
    ./dev bench workers --folder FOLDER          # where the engine may look for what it mounts
    ./dev bench workers --also FILE              # another compose file on top, such as one that builds elsewhere

The daily sweep of the scheduler and files of queue_imports go through two workers and Redis. In each one worker is
killed: nothing is lost and nothing done twice. Then an upgrade replaces the workers with the rest. Ends with 1 where
the outcome is not the promised one.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

from benchmarks.service.operations import Installation, run_in_a_copy, timed

_EXPERIMENTS, _DAYS, _FILES = 300, 6, 40
# The shortest time after which a dead worker's task goes to another.
_SETTINGS = "CELERY_BROKER_URL=redis://redis:6379/0\nWORKER_RETRY_SECONDS=10\nWORKER_CONCURRENCY=1\n"
_SEED = f"""
import datetime as dt
from django.utils import timezone
from bandit_project.models import JobRun
from experiments.ingestion.record import record_events
from experiments.metrics import DailyCounts
from experiments.services import create_experiment

today = timezone.localdate()
for number in range({_EXPERIMENTS}):
    made = create_experiment(name=f"Test {{number}}", now=timezone.now())
    rows = [
        DailyCounts(today - dt.timedelta(days=day), name, 1000, clicks + number % 7, 0)
        for day in range({_DAYS}) for name, clicks in (("control", 70), ("variant_b", 80))
    ]
    record_events(experiment_id=made.pk, rows=rows, today=today, now=timezone.now())
# The scheduler has swept an installation without experiments; now it does so again.
JobRun.objects.filter(name="allocate").delete()
"""
_DECIDED = "SELECT count(*) FROM allocation_allocation"
_RECORDED = (
    "SELECT count(*) FROM experiments_historicalexperiment WHERE history_change_reason LIKE '%uploaded%'"
)
_ROWS = (
    "SELECT count(*) FROM experiments_dailymetric m JOIN experiments_variant v ON v.id = m.variant_id"
    " WHERE v.name = 'new'"
)
_PATIENCE_SECONDS = 300


def start(made: Installation) -> None:
    built = made.compose("build")
    made.expect("the image builds", built.returncode == 0, built.stderr)
    made.expect("up --wait ends with 0 with two workers", _up(made), "")


def sweep(made: Installation) -> None:
    seeded = made.once("manage", "shell", "--no-imports", "--command", _SEED)
    made.expect("experiments are made", seeded.returncode == 0, seeded.stderr)
    _kill_one_once(made, lambda: ask(made, _DECIDED) >= 5)
    killed_at = ask(made, _DECIDED)
    _wait_until(lambda: ask(made, _DECIDED) >= _EXPERIMENTS)
    _wait_until(lambda: ask(made, "SELECT count(*) FROM bandit_project_jobrun WHERE name = 'allocate'") == 1)
    once_each = ask(made, f"{_DECIDED} WHERE revision = 1 AND target_date = current_date")
    made.expect("each experiment is decided once", once_each == ask(made, _DECIDED) == _EXPERIMENTS)
    in_scheduler = made.compose("logs", "scheduler").stdout.count("allocation.computed")
    made.expect("workers decide, not the scheduler", in_scheduler == 0, str(in_scheduler))
    _verify(made)
    print(f"  a worker was killed after {killed_at} of {_EXPERIMENTS} decisions")


def files(made: Installation) -> None:
    made.expect("the killed worker comes back", _up(made), "")
    names = _write_files(made)
    mounted = ("--volume", f"{made.folder}/files:/files:ro")
    queue = made.begin(
        "run", "--rm", "--no-deps", "--no-TTY", *mounted, "migrate", "manage", "queue_imports", *names,
        "--experiment", "test-0",
    )  # fmt: skip
    _kill_one_once(made, lambda: ask(made, _RECORDED) >= 2 or queue.poll() is not None)
    killed_at = ask(made, _RECORDED)
    said = queue.communicate(timeout=_PATIENCE_SECONDS)[0]
    made.expect("queue_imports ends with 0", queue.returncode == 0, said)
    made.expect("each file is recorded once", ask(made, _RECORDED) == _FILES, said)
    made.expect("with all its rows", ask(made, _ROWS) == _FILES * 28)
    made.expect("no file waits", ask(made, "SELECT count(*) FROM experiments_csvupload") == 0)
    _verify(made)
    print(f"  a worker was killed after {killed_at} of {_FILES} files")


def upgrade(made: Installation) -> None:
    made.expect("the killed worker comes back", _up(made), "")
    made.become("0.2.0", _SETTINGS)
    for done in (made.compose("build"), made.once("migrate")):
        made.expect("building and migrating end with 0", done.returncode == 0, done.stderr)
    made.replace("an upgrade")
    listed = made.compose("--profile", "workers", "ps", "--format", "json", "worker").stdout
    workers = [json.loads(line) for line in listed.splitlines()]
    found = [(one["Image"], one["Health"]) for one in workers]
    made.expect("both workers have the new version", found == [("bandit:0.2.0", "healthy")] * 2, str(found))


def ask(made: Installation, sql: str) -> int:
    done = made.compose(
        "exec", "--no-TTY", "database", "psql", "--username=bandit", "--dbname=bandit", "-Atc", sql
    )
    return int(done.stdout or 0)


def _up(made: Installation) -> bool:
    done = made.compose(
        "--profile", "workers", "up", "--detach", "--wait", "--no-build", "--scale", "worker=2"
    )
    if done.returncode:
        print(done.stderr[-2000:])
    return done.returncode == 0


def _kill_one_once(made: Installation, is_time: Callable[[], bool]) -> None:
    worker = made.compose("--profile", "workers", "ps", "--quiet", "worker").stdout.split()[0]
    _wait_until(is_time)
    subprocess.run(["docker", "kill", worker], check=True, capture_output=True)


def _write_files(made: Installation) -> list[str]:
    folder = made.folder / "files"
    folder.mkdir(mode=0o755)
    for number in range(_FILES):
        month = f"{2021 + number // 12}-{1 + number % 12:02}"
        rows = "".join(f"{month}-{day:02},new,100,{number}\n" for day in range(1, 29))
        (folder / f"{number}.csv").write_text(f"date,variant_name,impressions,clicks\n{rows}")
    return [f"/files/{number}.csv" for number in range(_FILES)]


def _verify(made: Installation) -> None:
    done = made.once("manage", "verify_ledger")
    made.expect("verify_ledger finds no difference", done.returncode == 0, done.stdout + done.stderr)


def _wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while not is_so() and time.monotonic() < end:
        time.sleep(0.1)


_STEPS = (
    ("install with workers: build, start, healthy", start),
    ("sweep by two workers, of which one is killed", sweep),
    ("files by two workers, of which one is killed", files),
    ("upgrade with workers", upgrade),
)


def run(made: Installation) -> None:
    made.become("0.1.0", _SETTINGS)
    for name, step in _STEPS:
        timed(name, partial(step, made))


if __name__ == "__main__":
    sys.exit(run_in_a_copy("Run the production compose file with workers, and kill one.", run))
