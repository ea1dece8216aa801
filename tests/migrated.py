"""Migrate an empty database once for all processes of a run.

To migrate takes each process seconds. The first keeps a copy of what it has made. The others begin with the copy:
Django still migrates it, and finds nothing to do.
"""

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from django.db import connection

FILE = "migrated.sqlite3"
# The name of a copy in PostgreSQL, for the processes that are to come.
_NAME = "migrated.txt"


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until no other process is in a block for this folder."""
    with (folder / "migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def migrated_once(folder: Path) -> Iterator[None]:
    """Have Django make this process's database from the copy in the folder, or put a copy there.

    The process that made the copy removes it at the end of the block.
    """
    creation: Any = connection.creation
    create = creation.create_test_db
    kept = _keep_file if connection.vendor == "sqlite" else _keep_database
    remove: list[Callable[[], None]] = []

    def create_or_copy(*args: Any, **options: Any) -> str:
        with one_at_a_time(folder):
            begins_empty = not _begin_with_copy(folder)
            name: str = create(*args, **options)
            if begins_empty:
                remove.append(kept(folder))
        return name

    creation.create_test_db = create_or_copy
    try:
        yield
    finally:
        del creation.create_test_db
        with one_at_a_time(folder):
            for undo in remove:
                undo()


def _begin_with_copy(folder: Path) -> bool:
    """Let the database that Django is about to create be a copy; false where there is none yet."""
    creation: Any = connection.creation
    if (folder / _NAME).exists():
        connection.settings_dict["TEST"]["TEMPLATE"] = (folder / _NAME).read_text()
        return True
    if not (folder / FILE).exists():
        return False
    create = creation._create_test_db

    def create_file(*args: Any, **options: Any) -> str:
        name: str = create(*args, **options)
        # A process of the same number that was killed may have left changes for its own file.
        for ending in ("-wal", "-shm"):
            Path(name + ending).unlink(missing_ok=True)
        shutil.copy(folder / FILE, name)
        return name

    creation._create_test_db = create_file
    return True


def _keep_file(folder: Path) -> Callable[[], None]:
    connection.ensure_connection()
    with closing(sqlite3.connect(folder / "unfinished.sqlite3")) as target:
        connection.connection.backup(target)
    os.replace(folder / "unfinished.sqlite3", folder / FILE)
    return (folder / FILE).unlink


def _keep_database(folder: Path) -> Callable[[], None]:
    """Copy the database, which nobody may be connected to meanwhile."""
    creation: Any = connection.creation
    connection.close()
    name = f"{connection.settings_dict['NAME']}_migrated"
    copied, copy = (connection.ops.quote_name(each) for each in (connection.settings_dict["NAME"], name))
    with creation._nodb_cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {copy}")
        cursor.execute(f"CREATE DATABASE {copy} TEMPLATE {copied}")
    (folder / _NAME).write_text(name)

    def remove() -> None:
        (folder / _NAME).unlink()
        with creation._nodb_cursor() as cursor:
            cursor.execute(f"DROP DATABASE {copy}")

    return remove
