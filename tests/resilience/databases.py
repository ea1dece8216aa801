"""Databases for the services of these tests: each has its tables already, and belongs to one test.

Migrations run once for each kind of database, for all processes of a run. Every test gets a copy of the result. Tests
of what other tests show on both kinds, with fewer processes, run on one of them in ./dev test and on both in
./dev bench resilience.
"""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from tests.processes.clusters import MIGRATED, database_of_its_own, postgresql_url, run_psql
from tests.processes.files import sqlite_in

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
