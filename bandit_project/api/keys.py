"""API keys of calls: each found by one statement, then remembered by the worker for API_KEY_REMEMBER_SECONDS.

Finding a key took a third of a read's time. A key that was revoked opens what it opened for that long in a worker that
has just seen it (docs/threat-model.md); one that expires opens nothing from that moment on.
"""

import datetime as dt
import time
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connection
from django.db.models import Q
from django.utils import timezone

from bandit_project.models import ApiKey
from experiments.database.replica import reading_from
from experiments.database.rows import Columns, Row, rows_of
from experiments.database.trust import trust

# OpenFeature's providers send one of the last two.
_KEYWORDS = frozenset({"api-key", "bearer"})
# Precise enough to find unused keys. A write for each request would cost more than the request itself.
LAST_USED_PRECISION = dt.timedelta(minutes=1)
# Keys that a worker remembers; far more than an installation has.
_MOST_KEYS = 1000
_KEY = Columns(ApiKey, "k")
_USABLE = f"SELECT {_KEY.sql} FROM bandit_project_apikey k WHERE k.prefix = %s AND k.revoked = %s"  # noqa: S608

# When the database was asked, and the key that it had; by what was given.
_remembered: dict[str, tuple[float, ApiKey]] = {}


def given_key(headers: Mapping[str, Any]) -> str:
    """Return the key in a request's headers (its META), blank for none; Authorization wins over X-API-Key."""
    word, _, given = headers.get("HTTP_AUTHORIZATION", "").partition(" ")
    in_authorization = given.strip() if word.lower() in _KEYWORDS else ""
    return in_authorization or str(headers.get("HTTP_X_API_KEY", "")).strip()


def usable_key(given: str) -> ApiKey | None:
    """Return the key that opens something, None for any other; its use is noted. No query while it is remembered."""
    asked_at = time.monotonic()
    held = _remembered.get(given)
    if held is not None and held[0] > asked_at - settings.API_KEY_REMEMBER_SECONDS:
        key: ApiKey | None = held[1]
    elif (key := _asked(given)) is not None:
        _remember(given, key, asked_at)
    if key is None or key.has_expired:
        return None
    note_use(key)
    return key


def forget() -> None:
    """Drop what is remembered of keys."""
    _remembered.clear()


def _remember(given: str, key: ApiKey, asked_at: float) -> None:
    if len(_remembered) >= _MOST_KEYS:
        forget()
    _remembered[given] = asked_at, key


def _asked(given: str) -> ApiKey | None:
    if not given.isascii() or "\x00" in given:
        return None
    rows = ask(_USABLE, [given.partition(".")[0], False])
    keys = [_KEY.instance(row) for row in rows]
    return next((key for key in keys if key.is_valid(given)), None)


def note_use(key: ApiKey) -> None:
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at > LAST_USED_PRECISION:
        key.last_used_at = now  # while it is remembered, it is noted once
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_PRECISION)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)


@reading_from(DEFAULT_DB_ALIAS)
def ask(sql: str, parameters: Row = ()) -> list[Row]:
    """Ask the first thing of a request, without the query by which Django tests each connection first; a dead one is
    opened again.
    """
    if not connection.in_atomic_block:
        trust(connection)
        try:
            return rows_of(sql, parameters)
        except (DatabaseError, InterfaceError):
            connection.close()
    return rows_of(sql, parameters)
