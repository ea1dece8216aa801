"""Replicas of the database: which reads may go to one, and when none does.

A replica is some way behind. So nothing is read from one by itself: a block that says so (moment.py) is, and within it
only what experiments were and what came of them. Accounts, keys, permissions and sessions, whatever is in a
transaction, every lock and every write stay with the primary. One that is lost or too far behind is left out.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from experiments.events import log_problem_event

# The tables of other apps say who may do what.
_MAY_LAG = frozenset({"experiments", "allocation", "notifications"})
# One that was lost is asked again after so long, and no replica is asked more often how far it is.
_AWAY_SECONDS, _KNOWN_SECONDS = 30.0, 1.0
_WRITTEN = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"
# Null where it is no standby: what such a database has is its operator's.
_REPLAYED = "SELECT pg_last_wal_replay_lsn() - '0/0'::pg_lsn"

_read_from: ContextVar[str] = ContextVar("read_from", default=DEFAULT_DB_ALIAS)
_primary_only: ContextVar[bool] = ContextVar("primary_only", default=False)


class Router:
    """Django's question which database a statement goes to; migrations know the primary alone."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        return alias_to_read() if model._meta.app_label in _MAY_LAG else DEFAULT_DB_ALIAS

    def db_for_write(self, model: type[Model], **hints: Any) -> str:
        return DEFAULT_DB_ALIAS

    def allow_relation(self, one: Model, other: Model, **hints: Any) -> bool:
        return True  # copies of the same rows

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == DEFAULT_DB_ALIAS


def alias_to_read() -> str:
    """Name the database that this block reads from; within a transaction of the primary that is the primary."""
    alias = _read_from.get()
    if alias != DEFAULT_DB_ALIAS and connections[DEFAULT_DB_ALIAS].in_atomic_block:
        return DEFAULT_DB_ALIAS
    return alias


@contextmanager
def reading_from(alias: str) -> Iterator[None]:
    """Let the block read what may lag from this database."""
    token = _read_from.set(alias)
    try:
        yield
    finally:
        _read_from.reset(token)


@contextmanager
def primary_only() -> Iterator[None]:
    """Let the block read from the primary alone: for somebody who looks for what he has just changed."""
    token = _primary_only.set(True)
    try:
        yield
    finally:
        _primary_only.reset(token)


def usable_replicas() -> list[str]:
    """List the replicas to try, in an order of chance: none that was lost of late or is too far behind."""
    if not settings.DATABASE_REPLICAS or _primary_only.get():
        return []
    now = time.monotonic()
    return [
        alias
        for alias in random.sample(settings.DATABASE_REPLICAS, len(settings.DATABASE_REPLICAS))
        if _away_until.get(alias, now) <= now and _progress.is_near(alias)
    ]


def leave_out(alias: str, error: Exception) -> None:
    """Leave a replica out for half a minute, and say so in the log."""
    _away_until[alias] = time.monotonic() + _AWAY_SECONDS
    log_problem_event("replica.lost", replica=alias, problem=" ".join(str(error).split()))
    connections[alias].close()


def forget() -> None:
    """Drop what is known of the replicas."""
    _away_until.clear()
    _progress.forget()


class _Progress:
    """How far the primary has written and each replica has followed, asked once a second in each worker."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._written: deque[tuple[float, int]] = deque(maxlen=100)
        self._near: dict[str, tuple[float, bool]] = {}

    def forget(self) -> None:
        self._written.clear()
        self._near.clear()

    def is_near(self, alias: str) -> bool:
        """Tell whether a replica has all that was written more than DATABASE_REPLICA_LAG_SECONDS ago."""
        connection = connections[alias]
        if connection.vendor != "postgresql":
            return True
        asked_at, near = self._near.get(alias, (float("-inf"), False))
        if time.monotonic() - asked_at < _KNOWN_SECONDS:
            return near
        # One thread asks. A replica that is silent keeps that one waiting; the others read from the primary.
        if not self._guard.acquire(blocking=False):
            return False
        try:
            near = self._ask(connection)
            self._near[alias] = time.monotonic(), near
        finally:
            self._guard.release()
        return near

    def _ask(self, replica: BaseDatabaseWrapper) -> bool:
        try:
            replayed = _position(replica, _REPLAYED)
        except Error as error:
            leave_out(replica.alias, error)
            return False
        return replayed is None or replayed >= self._needed()

    def _needed(self) -> int:
        """Ask the primary how far it is; the place where it was at most DATABASE_REPLICA_LAG_SECONDS ago."""
        now = time.monotonic()
        self._written.append((now, _position(connections[DEFAULT_DB_ALIAS], _WRITTEN) or 0))
        lag = settings.DATABASE_REPLICA_LAG_SECONDS
        return next(place for at, place in self._written if now - at <= lag)


def _position(connection: BaseDatabaseWrapper, sql: str) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        (place,) = cursor.fetchone()
    return None if place is None else int(place)


_away_until: dict[str, float] = {}
_progress = _Progress()
