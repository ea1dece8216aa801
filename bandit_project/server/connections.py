"""Connections between requests: when one to the database is checked, which one stays open, and none to caches.

CONN_HEALTH_CHECKS asks the database once in each request whether it is still there: one round trip, of about six that a
small write takes. A connection that answered within the last second is not asked. If the server went away in that
second, the request is answered 503, as any request is while the database is away; Django then replaces the connection.
"""

import time
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings
from django.core.cache import caches, close_caches
from django.core.cache.backends.base import BaseCache
from django.core.signals import request_finished, request_started
from django.db import DEFAULT_DB_ALIAS, OperationalError, close_old_connections, connections, reset_queries
from django.db.backends.base.base import BaseDatabaseWrapper

from experiments.database.trust import trust

FRESH_SECONDS = 1.0

# When each connection last answered without an error.
_answered_at: WeakKeyDictionary[BaseDatabaseWrapper, float] = WeakKeyDictionary()
_kept_open: list[BaseDatabaseWrapper] = []


def spare_health_checks() -> None:
    """Connect to the request signals, once in each process, after Django's own receivers have ordered the checks."""
    request_started.connect(_trust_fresh_ones, dispatch_uid="bandit-trust-connections")
    request_finished.connect(_note_answers, dispatch_uid="bandit-note-connections")


def _trust_fresh_ones(**kwargs: Any) -> None:
    for connection in connections.all(initialized_only=True):
        _trust_if_fresh(connection)


def _trust_if_fresh(connection: BaseDatabaseWrapper) -> None:
    if time.monotonic() - _answered_at.get(connection, float("-inf")) < FRESH_SECONDS:
        trust(connection)


def _note_answers(**kwargs: Any) -> None:
    for connection in connections.all(initialized_only=True):
        _note_answer(connection)


def _note_answer(connection: BaseDatabaseWrapper) -> None:
    if connection.connection is not None and not connection.errors_occurred:
        _answered_at[connection] = time.monotonic()
    else:
        _answered_at.pop(connection, None)


def ask_connections_once() -> None:
    """Go through the connections once when a request begins and once when it ends, in each process that serves.

    Django's receivers and ours did so five times between them, a tenth of a small read.
    """
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    if not settings.DEBUG:
        request_started.disconnect(reset_queries)
    request_started.disconnect(dispatch_uid="bandit-trust-connections")
    request_finished.disconnect(dispatch_uid="bandit-note-connections")
    request_started.connect(_begin, dispatch_uid="bandit-begin")
    request_finished.connect(_end, dispatch_uid="bandit-end")


def _begin(**kwargs: Any) -> None:
    for connection in connections.all(initialized_only=True):
        connection.close_if_unusable_or_obsolete()
        _trust_if_fresh(connection)


def _end(**kwargs: Any) -> None:
    for connection in connections.all(initialized_only=True):
        connection.close_if_unusable_or_obsolete()
        _note_answer(connection)


def keep_sqlite_open() -> None:
    """Keep one unused connection to SQLite open, in each process that serves.

    SQLite deletes the files beside the database when its last connection closes. On a full disk they could not be
    made again, and without them not even reading works.
    """
    if connections[DEFAULT_DB_ALIAS].vendor == "sqlite":
        request_started.connect(_keep_open, dispatch_uid="bandit-keep-open")


def _keep_open(**kwargs: Any) -> None:
    if _kept_open:
        return
    kept = connections.create_connection(DEFAULT_DB_ALIAS)
    with suppress(OperationalError):  # The next request tries again.
        kept.ensure_connection()
        _kept_open.append(kept)


def spare_closing_caches() -> None:
    """Do not ask each cache at the end of each request to close what it has open, where none has anything."""
    if all(type(caches[alias]).close is BaseCache.close for alias in settings.CACHES):
        request_finished.disconnect(close_caches)
