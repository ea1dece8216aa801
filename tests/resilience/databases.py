"""Databases for the services of these tests: each has its tables already, and belongs to one test.

Migrations run once for each kind of database, for all processes of a run. Every test gets a copy of the result. Tests
of what other tests show on both kinds, with fewer processes, run on one of them in ./dev test and on both in
./dev bench resilience.
"""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from tests import migrated
from tests.bandit_project.starts import manage
from tests.processes.clusters import MIGRATED, database_of_its_own, postgresql_url, run_psql
from tests.processes.originals import original

FILE = "bandit.sqlite3"
_NUMBERS = itertools.count(1)
_SERVERS = ExitStack()


@contextmanager
def server_kept() -> Iterator[None]:
    """Stop the PostgreSQL server at the end of the block."""
    try:
        yield
    finally:
        _SERVERS.close()
        _server.cache_clear()


def sqlite_in(folder: Path) -> str:
    """Put a database file into the folder and return its URL."""
    with original(FILE, _migrate_file) as made:
        shutil.copy(made, folder / FILE)
    return f"sqlite:///{folder / FILE}"


@contextmanager
def sqlite() -> Iterator[str]:
    """The URL of a new file, which is removed at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="bandit-") as folder:
        yield sqlite_in(Path(folder))


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a new database on a server that all tests share."""
    folder, name = _server(), f"bandit_{next(_NUMBERS)}"
    run_psql(folder, f"CREATE DATABASE {name} OWNER bandit TEMPLATE {MIGRATED}")
    try:
        yield postgresql_url(folder, name)
    finally:
        run_psql(folder, f"DROP DATABASE {name} WITH (FORCE)")


@cache
def _server() -> Path:
    return _SERVERS.enter_context(database_of_its_own())


def _migrate_file(made: Path) -> None:
    """Copy what the run's tests begin with, where that is a file."""
    there = made.parent.parent / migrated.FILE
    if there.exists():
        shutil.copy(there, made)
        return
    manage("migrate", "--verbosity", "0", DEBUG="true", DATABASE_URL=f"sqlite:///{made}")
