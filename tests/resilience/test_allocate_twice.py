"""The daily run starts twice at the same time, and one experiment cannot be computed: each other is computed once."""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from typing import Any

import psycopg
import pytest

from tests.deployment.installation import COMMAND_SECONDS
from tests.resilience.databases import postgresql, sqlite
from tests.resilience.load import make_experiments, yesterday
from tests.resilience.scale import FULL, scaled
from tests.resilience.service import Service, served

Database = Callable[[], AbstractContextManager[str]]

DAY = yesterday().isoformat()
ALLOCATE = ("allocate", "--all", "--date", DAY)
_UPDATE = "UPDATE experiments_experiment SET reward = 'none' WHERE id = {experiment}"


def _record(service: Service, experiments: list[int], clicks: int) -> None:
    """Record new data, so that there is something to decide."""
    rows = [
        {"experiment_id": e, "date": DAY, "variant_name": variant, "impressions": 5000, "clicks": clicks}
        for e in experiments
        for variant in ("control", "b")
    ]
    service.post("/api/v1/events/", {"rows": rows}).raise_for_status()


def _revisions(service: Service, experiment: int) -> list[int]:
    rows: list[dict[str, Any]] = service.get(f"/api/v1/experiments/{experiment}/allocations/").json()[
        "results"
    ]
    assert {row["target_date"] for row in rows} <= {DAY}
    return sorted(row["revision"] for row in rows)


def _allocate(service: Service, processes: int, code: int = 0) -> list[tuple[str, str]]:
    """Start several commands at once, which end with this code; the last line each printed, and its errors."""
    with ExitStack() as stack:
        running = [stack.enter_context(service.manage(*ALLOCATE)) for _ in range(processes)]
        ended = [command.communicate(timeout=COMMAND_SECONDS) for command in running]
    assert {command.returncode for command in running} == {code}, ended
    return [(output.splitlines()[-1], errors) for output, errors in ended]


def _corrupt(url: str, experiment: int) -> None:
    """Store a reward that does not exist. Only somebody with access to the database can."""
    update = _UPDATE.format(experiment=experiment)
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file, file:
            file.execute("PRAGMA ignore_check_constraints = ON")
            file.execute(update)
        return
    with psycopg.connect(url) as server:
        server.execute("ALTER TABLE experiments_experiment DROP CONSTRAINT experiment_reward_known")
        server.execute(update.encode())


@pytest.mark.parametrize("database", [sqlite, postgresql] if FULL else [postgresql])
def test_allocate__twice_at_once_and_one_experiment_corrupt__computes_every_other_once(
    database: Database, report: Callable[[str], None]
) -> None:
    # the full size is more than one transaction's chunk of 200
    count, rounds = scaled(20, 450), scaled(1, 5)
    # the commands are tested; the service is only there to be asked
    with database() as url, served(url, WEB_CONCURRENCY="1") as service:
        experiments = make_experiments(service, count + 1)
        _record(service, experiments, clicks=100)
        well = _allocate(service, processes=2)
        corrupt = experiments.pop(count // 2)
        _record(service, [corrupt], clicks=101)  # a sweep passes over what has nothing new
        _corrupt(url, corrupt)
        for number in range(rounds):
            _record(service, experiments, clicks=101 + number)
            broken = _allocate(service, processes=2, code=1)
        revisions = [_revisions(service, experiment) for experiment in experiments]

    assert [last for last, _ in well] == [f"{count + 1} computed for {DAY}, 0 failed."] * 2
    assert [last for last, _ in broken] == [f"{count} computed for {DAY}, 1 failed."] * 2
    assert all(f"(experiment {corrupt}): ValueError" in errors for _, errors in broken)
    assert revisions == [list(range(1, rounds + 2))] * count
    decisions = sum(map(len, revisions)) + 1
    report(
        f"two processes, {rounds + 1} times over {count + 1} experiments, one corrupt: {decisions:,} decisions"
    )
