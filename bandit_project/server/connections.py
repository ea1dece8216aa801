"""When database connections are asked whether they still live, and which one is never closed.

One that answered a moment ago is not asked. CONN_HEALTH_CHECKS asks once in each request: a round trip, of about six
that a small write takes. Where requests follow each other within a second the answer is known. A server that went away
in between costs that request a 503, as any does while it is away; Django then replaces the connection.
"""

import time
from contextlib import suppress
from typing import Any

from django.core.signals import request_finished, request_started
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

FRESH_SECONDS = 1.0

_kept_open: list[BaseDatabaseWrapper] = []


def spare_health_checks() -> None:
    """Once in each process; Django's own receivers, which order the checks, are connected already."""
    request_started.connect(_trust_fresh_ones, dispatch_uid="bandit-trust-connections")
    request_finished.connect(_note_answers, dispatch_uid="bandit-note-connections")


def _trust_fresh_ones(**kwargs: Any) -> None:
    for connection in connections.all(initialized_only=True):
        answered = getattr(connection, "answered_at", None)
        if answered is not None and time.monotonic() - answered < FRESH_SECONDS:
            connection.health_check_done = True  # type: ignore[attr-defined]  # unknown to the stubs


def _note_answers(**kwargs: Any) -> None:
    for connection in connections.all(initialized_only=True):
        well = connection.connection is not None and not connection.errors_occurred
        connection.answered_at = time.monotonic() if well else None  # type: ignore[attr-defined]  # ours


def keep_sqlite_open() -> None:
    """Once in each process that serves. Whoever closes the last connection to SQLite deletes the files beside the
    database, and on a full disk nobody could make them anew, not even to read: there is one more that nobody uses."""
    if connections[DEFAULT_DB_ALIAS].vendor == "sqlite":
        request_started.connect(_keep_open, dispatch_uid="bandit-keep-open")


def _keep_open(**kwargs: Any) -> None:
    if _kept_open:
        return
    kept = connections.create_connection(DEFAULT_DB_ALIAS)
    with suppress(OperationalError):  # the next request tries again
        kept.ensure_connection()
        _kept_open.append(kept)
