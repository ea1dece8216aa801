"""The door of what visitors' software calls: key, throttle and snapshot, with a single query or none.

A worker remembers what the query said for SERVE_REMEMBER_SECONDS: a decision comes once a day, calls by the thousand.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast
from weakref import WeakSet

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from rest_framework.exceptions import (
    APIException,
    MethodNotAllowed,
    NotAuthenticated,
    PermissionDenied,
    Throttled,
)
from rest_framework.request import Request
from rest_framework.views import APIView

from bandit_project.api.auth import (
    LAST_USED_PRECISION,
    HasScope,
    ScopeThrottle,
    given_key,
    note_use,
    wrong_key,
)
from bandit_project.api.errors import as_ofrep, handle_api_exception
from bandit_project.models import ApiKey
from serving.snapshot import VERSION_SQL, Version, read_version, snapshot_of

# Every request comes here. Dates are compared in SQL, as each database hands them out in another form.
_KEY_AND_VERSION_SQL = (
    "SELECT version.*, k.id, k.hashed_key, k.scope, k.name, "  # noqa: S608 (constants only)
    "k.revoked, k.expiry_date IS NOT NULL AND k.expiry_date < %s, "
    "k.last_used_at IS NULL OR k.last_used_at < %s "
    f"FROM ({VERSION_SQL}) version LEFT JOIN bandit_project_apikey k ON k.prefix = %s"
)
_OF_KEY = 7
# Another version of the service behind the same pooler has another statement under another name.
_NAME = f"bandit_visit_{hashlib.sha256(_KEY_AND_VERSION_SQL.encode()).hexdigest()[:8]}"
_PREPARE_SQL = f"PREPARE {_NAME} (timestamptz, timestamptz, text) AS " + _KEY_AND_VERSION_SQL.replace(
    "%s", "$1", 1
).replace("%s", "$2", 1).replace("%s", "$3", 1)
_EXECUTE_SQL = f"EXECUTE {_NAME} (%s, %s, %s)"
# The statement does not exist, or exists already.
_OF_A_POOLER = ("26000", "42P05")


# Keys that a worker remembers; far more than an installation has.
_MOST_KEYS = 1000


# A plain view that answers from a snapshot, with what the path names.
Answers = Callable[..., HttpResponse]


class ServedView:
    """A view that visitors' software calls for each visit. It has the rules of every call, and no cost of a framework.

    ``answer`` computes the answer. A key costs no query of its own. ``described`` is what the OpenAPI document shows.
    """

    csrf_exempt = True  # it changes nothing
    open_to_serve_keys = True
    required_scopes: ClassVar[dict[str, str]] = {"POST": "read"}

    def __init__(self, answer: Answers, *methods: str, described: type[APIView] | None = None) -> None:
        self._answer, self._methods = answer, methods
        self.cls, self.initkwargs = described, dict[str, Any]()  # where drf-spectacular looks

    def __call__(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        try:
            if request.method not in self._methods:
                raise MethodNotAllowed(request.method or "")
            version = self._admit(request)
            return self._answer(request, snapshot_of(version), **kwargs)
        except (APIException, OperationalError, InterfaceError, UnreadablePostError) as error:
            return self._refusal(request, error)

    def _admit(self, request: HttpRequest) -> Version:
        """Return the version that the database is at, once the caller may have an answer."""
        key, version = _key_and_version(given_key(request.META))
        call, view = cast("Request", request), cast("APIView", self)
        vars(request)["auth"] = key
        if not HasScope().has_permission(call, view):
            is_known = key is not None or request.user.is_authenticated
            raise PermissionDenied(HasScope.message) if is_known else NotAuthenticated()
        throttle = ScopeThrottle()
        if not throttle.allow_request(call, view):
            raise Throttled(throttle.wait())
        return version

    def _refusal(self, request: HttpRequest, error: Exception) -> HttpResponse:
        if isinstance(error, NotAuthenticated) or getattr(error, "status_code", None) == 401:
            vars(error)["auth_header"] = "Api-Key"
        response = handle_api_exception(error, {"request": request, "view": self})
        if response is None:
            raise error
        if isinstance(error, MethodNotAllowed):
            response["Allow"] = ", ".join(self._methods)
        return as_ofrep(request, response)


class _Memory:
    """Answers of the database of the last SERVE_REMEMBER_SECONDS. Only keys that open something are kept.

    One version for all keys: with a version of each, a change would have the snapshot read for each key in turn.
    """

    def __init__(self) -> None:
        self._keys: dict[str, tuple[float, ApiKey | None]] = {}
        self._version: tuple[float, Version] | None = None

    def find(self, given: str) -> tuple[ApiKey | None, Version] | None:
        oldest = time.monotonic() - settings.SERVE_REMEMBER_SECONDS
        version, key = self._version, self._keys.get(given)
        if version is None or key is None or version[0] <= oldest or key[0] <= oldest:
            return None
        return key[1], version[1]

    def keep(self, given: str, key: ApiKey | None, version: Version, asked_at: float) -> None:
        if len(self._keys) >= _MOST_KEYS:
            self._keys = {}
        self._keys[given] = asked_at, key
        self._version = asked_at, version


_memory = _Memory()


def forget() -> None:
    """Drop what is remembered of keys and decisions."""
    global _memory
    _memory = _Memory()


def _key_and_version(given: str) -> tuple[ApiKey | None, Version]:
    """Find the key, which must open something, and the version; one query for both, or none."""
    if (found := _memory.find(given)) is None:
        asked_at = time.monotonic()
        found = _asked_key_and_version(given)
        _memory.keep(given, *found, asked_at)
    return found


def _asked_key_and_version(given: str) -> tuple[ApiKey | None, Version]:
    if not given:
        return None, read_version()
    if not given.isascii() or "\x00" in given:
        raise wrong_key()
    now, prefix = timezone.now(), given.partition(".")[0]
    moments = map(connection.ops.adapt_datetimefield_value, (now, now - LAST_USED_PRECISION))
    row = _asked([*moments, prefix])
    pk, hashed, scope, name, revoked, has_expired, is_use_unknown = row[-_OF_KEY:]
    if pk is None or revoked or has_expired:
        raise wrong_key()
    key = ApiKey(id=pk, prefix=prefix, hashed_key=hashed, scope=scope, name=name)
    if not key.is_valid(given):
        raise wrong_key()
    if is_use_unknown:
        note_use(key)
    return key, tuple(row[:-_OF_KEY])


def _asked(parameters: Sequence[Any]) -> tuple[Any, ...]:
    """Ask once, without the query by which Django tests each connection first; a dead one is opened again."""
    if not connection.in_atomic_block:
        connection.health_check_done = True  # type: ignore[attr-defined]  # the stubs leave it out
        try:
            return _row(_prepared_sql(), parameters)
        except (DatabaseError, InterfaceError) as error:
            if getattr(error.__cause__, "sqlstate", None) in _OF_A_POOLER:
                _held_by.no_more()
            connection.close()
    return _row(_KEY_AND_VERSION_SQL, parameters)


def _row(sql: str, parameters: Sequence[Any]) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        row: tuple[Any, ...] = cursor.fetchone()
    return row


class _Holders:
    """The connections of PostgreSQL that hold the statement prepared: planning it takes twice as long as running it.

    A pooler between may give each statement another server, and then none is prepared any more.
    """

    def __init__(self) -> None:
        self._known: WeakSet[Any] | None = WeakSet()

    def no_more(self) -> None:
        self._known = None

    def hold(self) -> bool:
        """Prepare the statement where this connection has not; False where that is of no use."""
        if self._known is None or connection.vendor != "postgresql":
            return False
        connection.ensure_connection()
        if connection.connection not in self._known:
            with connection.cursor() as cursor:
                cursor.execute(_PREPARE_SQL)
            self._known.add(connection.connection)
        return True


_held_by = _Holders()


def _prepared_sql() -> str:
    return _EXECUTE_SQL if _held_by.hold() else _KEY_AND_VERSION_SQL
