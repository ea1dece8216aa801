"""Locks by name that end with their holder, so that a crash leaves nothing to clean up.

They are advisory locks on PostgreSQL and locks of files beside the database on SQLite, which runs on one machine: its
containers share the folder of the database, and not /tmp.
"""

import fcntl
import hashlib
import os
import tempfile
import threading
from collections import defaultdict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.db import OperationalError, connection

# A holder whose machine dies says no goodbye. PostgreSQL would keep its lock for two hours, until it asks after it.
_ASK_AFTER_HOLDER = (
    "SELECT set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '5', false), "
    "set_config('tcp_keepalives_count', '3', false)"
)


@contextmanager
def only_one(name: str) -> Iterator[bool]:
    """Yield True if no one else holds the name; for work of many transactions on one connection."""
    number = lock_number(name)
    if connection.vendor != "postgresql":
        with file_lock(f"{name}-{number}") as free:
            yield free
        return
    with connection.cursor() as cursor:
        cursor.execute(_ASK_AFTER_HOLDER)
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [number])
        free = bool(cursor.fetchone()[0])
    try:
        yield free
    finally:
        if free:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [number])


def lock_number(name: str) -> int:
    """Return a number for the name in this database: another installation on the machine may use the same name."""
    place = f"{connection.settings_dict['NAME']} {name}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(place).digest()[:8], signed=True)


@contextmanager
def file_lock(name: str) -> Iterator[bool]:
    """Yield True if the file's lock is free; the system releases it when its holder ends in any way.

    Raises OperationalError where no lock can be taken (a full disk, a folder of another user): nothing is written
    then, as when the database cannot be reached.
    """
    with _lock_file(name) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        except OSError as error:
            raise OperationalError(f"no lock could be taken: {error}") from error
        else:
            yield True


def _lock_file(name: str) -> IO[bytes]:
    try:
        folder = _folder_of_database() / f"bandit-locks-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        return (folder / f"{name}.lock").open("ab")
    except OSError as error:
        raise OperationalError(f"no lock could be taken: {error}") from error


class Turns:
    """Turns of a worker's threads by name: who wants what another is computing waits for it, and need not compute."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._wanting: defaultdict[Hashable, int] = defaultdict(int)

    @contextmanager
    def take(self, name: Hashable) -> Iterator[bool]:
        """Yield True if another thread had the turn meanwhile, whose result may serve."""
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
            self._wanting[name] += 1
        try:
            has_waited = not lock.acquire(blocking=False)
            if has_waited:
                lock.acquire()
            try:
                yield has_waited
            finally:
                lock.release()
        finally:
            with self._guard:
                self._wanting[name] -= 1
                if not self._wanting[name]:
                    del self._wanting[name], self._locks[name]


class OneAtATime:
    """Lets a worker's threads act one at a time, as long as none waits longer than its ``patience`` in seconds.

    It is a courtesy for what is faster so: where one is slow, the others continue without it.
    """

    def __init__(self, patience: float) -> None:
        self._patience, self._lock = patience, threading.Lock()

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Yield True if no other thread has the turn."""
        has_turn = self._lock.acquire(timeout=self._patience)
        try:
            yield has_turn
        finally:
            if has_turn:
                self._lock.release()


def _folder_of_database() -> Path:
    """The folder that everyone who has this SQLite database shares; a database in memory is nobody else's."""
    folder = Path(connection.settings_dict["NAME"]).absolute().parent
    return folder if connection.vendor == "sqlite" and folder.is_dir() else Path(tempfile.gettempdir())
