"""The sweep in several processes; a signal or a process that dies leaves the rest for the next run."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from allocation.models import Allocation
from allocation.sweep.chunk import SweptChunk
from allocation.sweep.processes import Processes
from tests.bandit_project.ops.database import database_url
from tests.factory import TODAY, make_experiment, make_running

ROOT = Path(__file__).resolve().parents[3]


def _manage(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "DATABASE_URL": database_url(), "DEBUG": "true"}
    command = [sys.executable, str(ROOT / "manage.py"), "allocate", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.django_db(transaction=True)
def test_jobs__two_processes__decide_what_one_does() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite takes one")
    for n in range(5):
        make_running(f"E{n}")
    make_experiment("Empty")

    ran = _manage("--all", "--jobs", "2")

    assert ran.returncode == 0, ran.stderr
    assert "5 computed" in ran.stdout
    assert "no active variant" in ran.stderr
    assert Allocation.objects.count() == 5


@pytest.mark.django_db
def test_jobs__several_on_sqlite__are_refused() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL takes them")

    with pytest.raises(CommandError, match="one writer at a time"):
        call_command("allocate", "--jobs", "2")


@pytest.mark.django_db
@pytest.mark.parametrize("jobs", ["0", "-1", "many"])
def test_jobs__no_number_of_processes__is_refused(jobs: str) -> None:
    with pytest.raises(CommandError, match="at least 1"):
        call_command("allocate", "--jobs", jobs)


class _Interrupting(io.StringIO):
    """Output that sends a signal to its own process with the first line."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def write(self, text: str) -> int:
        if not self.tell():
            os.kill(os.getpid(), self._number)
        return super().write(text)


@pytest.mark.django_db
@pytest.mark.usefixtures("today")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_allocate__signal__ends_after_the_chunk_and_the_next_run_decides_the_rest(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("allocation.sweep.daily.CHUNK", 2)
    for n in range(5):
        make_running(f"E{n}")
    before = signal.getsignal(number)

    with pytest.raises(CommandError, match="stopped") as stopped:
        call_command("allocate", stdout=_Interrupting(number))

    assert stopped.value.returncode == 128 + signal.SIGTERM
    assert Allocation.objects.count() == 2
    assert signal.getsignal(number) is before
    call_command("allocate", stdout=io.StringIO())
    assert Allocation.objects.count() == 5


def _dies_of_three(ids: Sequence[int]) -> SweptChunk:
    if 3 in ids:
        os._exit(9)
    return SweptChunk(unchanged=len(ids))


@pytest.mark.database_free
def test_processes__one_dies__its_chunk_has_failed_and_the_others_go_on() -> None:
    swept = list(Processes(1, _dies_of_three).run([[1, 2], [3, 4], [5]]))

    assert sorted(chunk.unchanged for chunk in swept) == [0, 1, 2]
    (failed,) = (chunk for chunk in swept if chunk.failed)
    assert [one.experiment_id for one in failed.experiments] == [3, 4]
    assert failed.faults == 2


def _own_process(ids: Sequence[int]) -> SweptChunk:
    return SweptChunk(unchanged=os.getpid())


@pytest.mark.database_free
def test_processes__one_dies_while_it_waits__the_next_chunk_has_another() -> None:
    processes = Processes(1, _own_process)
    swept = processes.run([[1], [2]])
    first = next(swept).unchanged
    os.kill(first, signal.SIGKILL)
    while _is_alive(processes):
        time.sleep(0.01)

    (second,) = swept

    assert second.failed == 0
    assert second.unchanged != first


def _is_alive(processes: Processes) -> bool:
    """False once the pool has noticed that one of its processes is gone."""
    try:
        processes._pool.submit(int)
    except BrokenProcessPool:
        return False
    return True


@pytest.mark.django_db
@pytest.mark.usefixtures("today")
def test_allocate__fault_of_ours__exits_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **named: Any) -> Any:
        raise ZeroDivisionError("a fault")

    make_running()
    monkeypatch.setattr("allocation.services.load_inputs", broken)
    out, err = io.StringIO(), io.StringIO()

    with pytest.raises(CommandError, match="fault"):
        call_command("allocate", stdout=out, stderr=err)

    assert f"0 computed for {TODAY}, 1 failed." in out.getvalue()
    assert "a fault" in err.getvalue()
