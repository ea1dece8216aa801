"""The door of what visitors' software calls: key, throttle and snapshot, with a single query."""

from collections.abc import Callable
from typing import Any, ClassVar, cast

from django.db import InterfaceError, OperationalError, connection
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

from bandit_project.api.auth import HasScope, ScopeThrottle, given_key, note_use, wrong_key
from bandit_project.api.errors import as_ofrep, handle_api_exception
from bandit_project.models import ApiKey
from serving.snapshot import VERSION_SQL, Version, read_version, snapshot_of

# Every request comes here. Dates are compared in SQL, as each database hands them out in another form.
_KEY_AND_VERSION_SQL = (
    "SELECT version.*, k.id, k.hashed_key, k.scope, k.name, "  # noqa: S608 (constants only)
    "k.last_used_at, k.revoked, k.expiry_date IS NOT NULL AND k.expiry_date < %s "
    f"FROM ({VERSION_SQL}) version LEFT JOIN bandit_project_apikey k ON k.prefix = %s"
)
_OF_KEY = 7


# A plain view that answers from a snapshot, with what the path names.
Answers = Callable[..., HttpResponse]


class ServedView:
    """A view that visitors' software calls for each visit. It has the rules of every call, and no cost of a framework.

    ``answer`` computes the answer. A key costs no query of its own.
    """

    csrf_exempt = True  # it changes nothing
    open_to_serve_keys = True
    required_scopes: ClassVar[dict[str, str]] = {"POST": "read"}

    def __init__(self, answer: Answers, *methods: str) -> None:
        self._answer, self._methods = answer, methods

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


def _key_and_version(given: str) -> tuple[ApiKey | None, Version]:
    """Find the key, which must open something, and the version; one query for both."""
    if not given:
        return None, read_version()
    if not given.isascii() or "\x00" in given:
        raise wrong_key()
    now, prefix = timezone.now(), given.partition(".")[0]
    with connection.cursor() as cursor:
        cursor.execute(_KEY_AND_VERSION_SQL, [connection.ops.adapt_datetimefield_value(now), prefix])
        row = cursor.fetchone()
    pk, hashed, scope, name, last_used, revoked, has_expired = row[-_OF_KEY:]
    if pk is None or revoked or has_expired:
        raise wrong_key()
    key = ApiKey(id=pk, prefix=prefix, hashed_key=hashed, scope=scope, name=name)
    if not key.is_valid(given):
        raise wrong_key()
    key.last_used_at = _moment(last_used)
    note_use(key)
    return key, tuple(row[:-_OF_KEY])


def _moment(stored: Any) -> Any:
    """Read a moment as SQLite stores it; PostgreSQL's driver has done so."""
    converters = connection.ops.get_db_converters(_LAST_USED)
    for convert in converters:
        stored = convert(stored, _LAST_USED, connection)
    return stored


_LAST_USED = ApiKey._meta.get_field("last_used_at").get_col("bandit_project_apikey")
