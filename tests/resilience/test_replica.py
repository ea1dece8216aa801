"""A real standby that follows a real primary: how far it may be behind, and what happens once it is gone."""

import subprocess
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

import pytest

from tests.bandit_project.starts import start
from tests.processes.clusters import MIGRATED, database_of_its_own, owner, postgresql_program

# Reads as pages do, by a clock of its own.
READER = """
import time, types
import django; django.setup()
from django.db import connections
from django.utils import timezone
from experiments.database import replica
from experiments.database.moment import one_moment
from experiments.models import Experiment

clock = [1000.0]
replica.time = types.SimpleNamespace(monotonic=lambda: clock[0])

def ask(alias, sql):
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None

def follow():
    written = ask("default", "SELECT pg_current_wal_lsn()")
    while not ask("replica-1", f"SELECT pg_last_wal_replay_lsn() >= '{written}'"):
        time.sleep(0.02)

def show(seconds):
    clock[0] += seconds
    with one_moment(may_lag=True):
        found = Experiment.objects.get()
    print(found._state.db, found.name)
"""


class Pair(NamedTuple):
    """The two servers: the primary's address, the standby's, and how PostgreSQL's programs are run on the latter."""

    primary: str
    standby: str
    run_tool: Callable[..., object]

    def read(self, script: str) -> "subprocess.CompletedProcess[str]":
        addresses = {"DATABASE_URL": self.primary, "DATABASE_REPLICA_URL": self.standby}
        return start(READER + textwrap.dedent(script), DEBUG="true", **addresses)

    def stop(self) -> None:
        self.run_tool("pg_ctl", "-m", "immediate", "-w", "stop")


@pytest.fixture
def pair() -> Iterator[Pair]:
    with database_of_its_own() as folder:
        standby = folder / "standby"

        def run_tool(name: str, *arguments: str) -> None:
            command = [str(postgresql_program(name)), *arguments, "-D", str(standby)]
            subprocess.run(command, user=owner(folder), stdout=subprocess.DEVNULL, check=True)

        run_tool("pg_basebackup", "-h", str(folder), "-U", "postgres", "-R", "-c", "fast")
        (standby / ".s.PGSQL.5432.lock").unlink()  # the primary's, whose socket is in its folder
        run_tool("pg_ctl", "-o", f'-k {standby} -h ""', "-l", f"{standby}/log", "-w", "start")
        made = Pair(_address(folder), _address(standby), run_tool)
        yield made
        with suppress(subprocess.CalledProcessError):
            made.stop()


def _address(folder: object) -> str:
    return f"postgresql://postgres:@/{MIGRATED}?host={folder}"


def test_standby__too_far_behind_or_gone__is_left_out(pair: Pair) -> None:
    shown = pair.read("""
        now = timezone.now()
        Experiment.objects.create(key="button", name="As it was", created_at=now, updated_at=now)
        follow()
        show(0)
        ask("replica-1", "SELECT pg_wal_replay_pause()")
        while ask("replica-1", "SELECT pg_get_wal_replay_pause_state()") != "paused":
            time.sleep(0.02)
        Experiment.objects.update(name="As it is")
        show(5)
        show(10)
        ask("replica-1", "SELECT pg_wal_replay_resume()")
        follow()
        show(1)
        print(*[one.name for one in Experiment.objects.using("replica-1").iterator()])
    """)
    pair.stop()
    without = pair.read("show(0)")

    assert shown.stdout.splitlines() == [
        "replica-1 As it was",
        "replica-1 As it was",  # five seconds old
        "default As it is",  # fifteen would be too old
        "replica-1 As it is",
        "As it is",
    ], shown.stderr
    assert without.stdout.splitlines() == ["default As it is"], without.stderr
    assert "replica.lost" in without.stderr


def test_read__in_the_way_of_what_the_standby_follows__is_the_primarys(pair: Pair) -> None:
    shown = pair.read("""
        from experiments.database.moment import answer_may_lag
        now = timezone.now()
        Experiment.objects.create(key="button", name="As it was", created_at=now, updated_at=now)
        follow()
        ask("replica-1", "ALTER SYSTEM SET max_standby_streaming_delay = 0")
        ask("replica-1", "SELECT pg_reload_conf()")

        @answer_may_lag
        def read():
            found = Experiment.objects.get()
            print(found._state.db, found.name)
            if found._state.db == "replica-1":
                Experiment.objects.using("default").update(name="As it is")
                ask("default", "VACUUM experiments_experiment")
                for _ in range(1000):  # the standby ends it as soon as it comes to that
                    Experiment.objects.get()
                    time.sleep(0.02)

        read()
    """)

    assert shown.stdout.splitlines() == ["replica-1 As it was", "default As it is"], shown.stderr
