"""The door of what visitors' software calls: key, throttle and snapshot, with two queries or none.

A worker remembers the key (keys.py), and for SERVE_REMEMBER_SECONDS whether there is a new decision: one comes once a
day, calls by the thousand.
"""

import time
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, cast

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from rest_framework.exceptions import (
    APIException,
    MethodNotAllowed,
    NotAuthenticated,
    PermissionDenied,
    Throttled,
)
from rest_framework.request import Request
from rest_framework.views import APIView

from bandit_project.api.auth import HasScope, ScopeThrottle, wrong_key
from bandit_project.api.errors import as_ofrep, handle_api_exception
from bandit_project.api.keys import ask, given_key, usable_key
from bandit_project.models import ApiKey
from serving.snapshot import VERSION_SQL, Version, snapshot_of

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
        self._answer, self.allowed_methods = answer, methods
        self.cls, self.initkwargs = described, dict[str, Any]()  # where drf-spectacular looks

    def __call__(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        try:
            if request.method not in self.allowed_methods:
                raise MethodNotAllowed(request.method or "")
            version = self._admit(request)
            return self._answer(request, snapshot_of(version), **kwargs)
        except (APIException, OperationalError, InterfaceError, UnreadablePostError) as error:
            return self._refusal(request, error)

    def _admit(self, request: HttpRequest) -> Version:
        """Return the version that the database is at, once the caller may have an answer."""
        key = _key(given_key(request.META))
        call, view = cast("Request", request), cast("APIView", self)
        vars(request)["auth"] = key
        permission = HasScope()
        if not permission.has_permission(call, view):
            is_known = key is not None or request.user.is_authenticated
            raise PermissionDenied(permission.message) if is_known else NotAuthenticated()
        throttle = ScopeThrottle()
        if not throttle.allow_request(call, view):
            raise Throttled(throttle.wait())
        return _version()

    def _refusal(self, request: HttpRequest, error: Exception) -> HttpResponse:
        if isinstance(error, NotAuthenticated) or getattr(error, "status_code", None) == 401:
            vars(error)["auth_header"] = "Api-Key"
        response = handle_api_exception(error, {"request": request, "view": self})
        if response is None:
            raise error
        if isinstance(error, MethodNotAllowed):
            response["Allow"] = ", ".join(self.allowed_methods)
        return as_ofrep(request, response)


def _key(given: str) -> ApiKey | None:
    """Return the key, which must open something; None where none is given."""
    if not given:
        return None
    key = usable_key(given)
    if key is None:
        raise wrong_key()
    return key


class _Remembered(NamedTuple):
    """The version that the database was at, and when it was asked."""

    version: Version
    asked_at: float


# One for all keys: with a version of each, a change would have the snapshot read for each key in turn.
_remembered: _Remembered | None = None


def forget() -> None:
    """Drop what is remembered of decisions."""
    global _remembered
    _remembered = None


def _version() -> Version:
    """Return the version of the last SERVE_REMEMBER_SECONDS; one query, or none."""
    global _remembered
    asked_at, held = time.monotonic(), _remembered
    if held is None or held.asked_at <= asked_at - settings.SERVE_REMEMBER_SECONDS:
        _remembered = held = _Remembered(tuple(ask(VERSION_SQL)[0]), asked_at)
    return held.version
