"""A folder in which processes keep their counts, and take over those of processes that died.

Each process has a folder of its own in it, and a lock on a file there for as long as it lives: the operating system
frees it however the process ends. Who gets the lock of another's folder sends what is left in it.
"""

import fcntl
import logging
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bandit_client.stream import Stream

_log = logging.getLogger("bandit_client")
_LOCK = "lock"
_UNBORN = ".new-"


@dataclass
class Place:
    """A folder that this process owns."""

    folder: Path
    lock: int

    def release(self) -> None:
        os.close(self.lock)


class Spool:
    def __init__(self, root: Path) -> None:
        self.root = root
        self._unreadable: set[Path] = set()
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def new_place(self) -> Place:
        """A folder that nobody sees before it is locked."""
        name = uuid.uuid4().hex
        unborn = self.root / f"{_UNBORN}{name}"
        unborn.mkdir(mode=0o700)
        lock = _locked(unborn / _LOCK)
        assert lock is not None  # noqa: S101
        unborn.rename(self.root / name)
        return Place(self.root / name, lock)

    def orphans(self) -> Iterator[tuple[Place, Stream]]:
        """The streams of dead processes, one at a time; the caller releases each place."""
        for folder in sorted(self.root.iterdir()):
            if folder.is_dir() and not folder.name.startswith(_UNBORN) and (found := self._orphan(folder)):
                yield found

    def _orphan(self, folder: Path) -> tuple[Place, Stream] | None:
        """Take over a folder, if it can be. One that cannot be read, as another user's, keeps none of the others."""
        place = None
        try:
            place = _taken(folder)
            return (place, Stream.recovered(folder)) if place else None
        except OSError as error:
            if place:
                place.release()
            if not isinstance(error, FileNotFoundError) and folder not in self._unreadable:
                self._unreadable.add(folder)
                _log.error("bandit: counts in %s cannot be taken over: %s", folder, error)
            return None


def _taken(folder: Path) -> Place | None:
    lock = _locked(folder / _LOCK)
    if lock is None:
        return None
    if not (folder / _LOCK).exists():  # its owner was about to remove it
        os.close(lock)
        return None
    return Place(folder, lock)


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock, or None where a living process does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
