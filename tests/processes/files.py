"""Files that take seconds to make, for programs of the tests: made once for all processes of a run, and copied."""

import shutil
from pathlib import Path

from tests import migrated
from tests.bandit_project.starts import manage
from tests.processes.originals import original

SQLITE = "bandit.sqlite3"


def sqlite_in(folder: Path) -> str:
    """Put a database file into the folder and return its URL."""
    with original(SQLITE, _migrate_file) as made:
        shutil.copy(made, folder / SQLITE)
    return f"sqlite:///{folder / SQLITE}"


def _migrate_file(made: Path) -> None:
    """Copy what the run's tests begin with, where that is a file."""
    there = made.parent.parent / migrated.FILE
    if there.exists():
        shutil.copy(there, made)
        return
    manage("migrate", "--verbosity", "0", DEBUG="true", DATABASE_URL=f"sqlite:///{made}")
