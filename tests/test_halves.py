"""The two halves of the suite run beside each other, and are read one after the other."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.halves import Half, on_postgresql, on_sqlite

pytestmark = pytest.mark.database_free

# Writes a file of its own and waits for the other's.
_MEETS = """
import os, pathlib, sys, time
pathlib.Path(sys.argv[1]).touch()
while not os.path.exists(sys.argv[2]): time.sleep(0.02)
print("ran", sys.argv[1], os.environ["DATABASE_URL"], flush=True)
sys.exit(int(sys.argv[3]))
"""
_WAITS = """
import os, sys, time
print(os.getpid(), flush=True)
try:
    time.sleep(600)
except KeyboardInterrupt:
    print("stopped", flush=True)
"""
_RUN = """
import sys
from tests.halves import Half, run
sys.exit(run(*(Half(*half) for half in {halves!r})))
"""


def _start(*halves: Half) -> subprocess.Popen[str]:
    code = _RUN.format(halves=[tuple(half) for half in halves])
    # As a shell starts what it does not wait for.
    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    return subprocess.Popen(
        [*ignoring, sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"DATABASE_URL": "the one outside"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def _half(title: str, *command: str, url: str = "") -> Half:
    return Half(title, [sys.executable, "-c", *command], {"DATABASE_URL": url} if url else {})


@pytest.mark.parametrize(("codes", "expected"), [((0, 0), 0), ((3, 0), 3), ((0, 4), 4), ((3, 4), 3)])
def test_halves__that_wait_for_each_other__both_run_and_are_shown_in_turn(
    tmp_path: Path, codes: tuple[int, int], expected: int
) -> None:
    one, other = str(tmp_path / "one"), str(tmp_path / "other")

    with _start(
        _half("First", _MEETS, one, other, str(codes[0]), url="its own"),
        _half("Second", _MEETS, other, one, str(codes[1])),
    ) as process:
        shown, _ = process.communicate(timeout=300)

    assert process.returncode == expected
    assert shown == f"== First ==\nran {one} its own\n== Second ==\nran {other} the one outside\n"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_halves__stopped__both_end_as_after_ctrl_c(sent: signal.Signals) -> None:
    with _start(_half("First", _WAITS), _half("Second", _WAITS)) as process:
        assert process.stdout
        first = [process.stdout.readline(), process.stdout.readline()]
        process.send_signal(sent)
        rest, _ = process.communicate(timeout=300)

    assert process.returncode == 130
    assert "== First ==\n" in first
    assert rest == "stopped\n"
    started = int(next(line for line in first if line.strip().isdigit()))
    with pytest.raises(ProcessLookupError):
        os.kill(started, 0)


def test_commands__of_both_databases__take_the_arguments_and_choose_what_says_something_of_a_database() -> (
    None
):
    sqlite, postgresql = on_sqlite(2, ["-k", "csv"]), on_postgresql(2, ["-k", "csv"])

    assert sqlite.command[1:] == [
        "-m", "pytest", "--dist", "loadgroup", "--max-worker-restart", "0", "-n", "2", "-k", "csv",
    ]  # fmt: skip
    assert sqlite.environment["DATABASE_URL"].endswith("/bandit.sqlite3")
    assert postgresql.command[-6:] == ["-n", "1", "-m", "not database_free", "-k", "csv"]
