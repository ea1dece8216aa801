"""Databases for the services of these tests: each has its tables already, and belongs to one test.

Migrations run once for each kind of database. Every test gets a copy of the result. Tests of what other tests show on
both kinds, with fewer processes, run on one of them in ./dev test and on both in ./dev bench resilience.
"""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from tests.bandit_project.starts import manage
from tests.deployment.installation import database_of_its_own, run_psql
from tests.resilience.production import production

FILE = "bandit.sqlite3"
_ORIGINALS = ExitStack()
_NUMBERS = itertools.count(1)


@contextmanager
def originals_kept() -> Iterator[None]:
    """Remove the migrated file and stop the PostgreSQL server at the end of the block."""
    try:
        yield
    finally:
        _ORIGINALS.close()
        _migrated_file.cache_clear()
        _migrated_server.cache_clear()


def migrate(database: str) -> None:
    """Create the tables in an empty database."""
    manage("migrate", "--verbosity", "0", **production(database))


def sqlite_in(folder: Path) -> str:
    """Put a database file into the folder and return its URL."""
    shutil.copy(_migrated_file(), folder / FILE)
    return f"sqlite:///{folder / FILE}"


@contextmanager
def sqlite() -> Iterator[str]:
    """The URL of a new file, which is removed at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="bandit-") as folder:
        yield sqlite_in(Path(folder))


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a new database on a server that all tests share."""
    folder, name = _migrated_server(), f"bandit_{next(_NUMBERS)}"
    run_psql(folder, f"CREATE DATABASE {name} OWNER bandit TEMPLATE bandit")
    try:
        yield postgresql_url(folder, name)
    finally:
        run_psql(folder, f"DROP DATABASE {name} WITH (FORCE)")


def postgresql_url(folder: Path, name: str = "bandit") -> str:
    """The URL of a database on the server whose data and socket are in the folder."""
    return f"postgresql://bandit:@/{name}?host={folder}"


@cache
def _migrated_file() -> Path:
    folder = Path(_ORIGINALS.enter_context(tempfile.TemporaryDirectory(prefix="bandit-")))
    migrate(f"sqlite:///{folder / FILE}")
    return folder / FILE


@cache
def _migrated_server() -> Path:
    folder = _ORIGINALS.enter_context(database_of_its_own())
    migrate(postgresql_url(folder))
    return folder
