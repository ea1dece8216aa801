"""The calls that programs make by the thousand, as plain views.

REST framework and the middleware of sessions and pages take most of the time of a call that asks the database one
thing: reads are 1.7 to 8 times as fast without them. So the lane (bandit_project/lane.py) tries these first. Each does
the usual case alone: a key whose scope suffices, no throttle, plain JSON. For all else it returns None, and the view of
REST framework, which has the same core, answers: any refusal, any other header or parameter. What is read, checked and
recorded is in those cores; nothing is checked twice in different words.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import orjson
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from rest_framework.exceptions import APIException
from simple_history.models import HistoricalRecords

from allocation.api.classic.views import allocation_json, history_json
from allocation.api.v1.schemas import is_unit
from allocation.api.v1.views import answer_in_force, assign_one, assign_units
from bandit_project.api.errors import handle_api_exception
from bandit_project.api.keys import given_key, usable_key
from bandit_project.models import Scope
from experiments.api.classic.views import answer_list, record_classic
from experiments.api.idempotency import HEADER
from experiments.api.v1.events import record_rows
from experiments.exceptions import DomainError

_ID_DIGITS = 18
_IDEMPOTENT = f"HTTP_{HEADER.upper().replace('-', '_')}"


class Hot(NamedTuple):
    """A hot call: its method, the scope that it needs, what answers it, the methods that its view takes, and whether it
    may write.
    """

    method: str
    scope: Scope
    answer: Callable[..., HttpResponse | None]
    allow: str
    writes: bool = False


def try_hot(view_name: str, request: HttpRequest, **named: Any) -> HttpResponse | None:
    """Answer the usual case of a hot call; None for any other, of which nothing was done."""
    hot = HOT.get(view_name)
    if hot is None or request.method != hot.method or not _is_usual(request):
        return None
    try:
        if not _is_admitted(request, hot):
            return None
        with _known_to_history(request) if hot.writes else nullcontext():
            response = hot.answer(request, **named)
    except (DomainError, APIException, orjson.JSONDecodeError):
        return None
    except (OperationalError, InterfaceError, UnreadablePostError) as error:
        response = handle_api_exception(error, {})
    if response is not None and response.status_code < 400:
        response["Allow"] = hot.allow
    return None if response is None else as_the_view_would(response)


@contextmanager
def _known_to_history(request: HttpRequest) -> Iterator[None]:
    """Say who is acting, as the middleware of the audit history does."""
    HistoricalRecords.context.request = request
    try:
        yield
    finally:
        del HistoricalRecords.context.request


def _is_usual(request: HttpRequest) -> bool:
    accept = request.META.get("HTTP_ACCEPT", "*/*")
    if accept != "application/json" and "*/*" not in accept:
        return False
    if request.method == "GET":
        return True
    charset = (request.content_params or {}).get("charset", "utf-8")
    return request.content_type == "application/json" and charset.lower() == "utf-8"


def _is_admitted(request: HttpRequest, hot: Hot) -> bool:
    if settings.THROTTLE_RATES["read" if hot.method == "GET" else "write"] is not None:
        return False
    key = usable_key(given_key(request.META))
    if key is None or not Scope(key.scope).includes(hot.scope):
        return False
    request.user = AnonymousUser()
    vars(request)["auth"] = key
    return True


def as_the_view_would(response: HttpResponse) -> HttpResponse:
    """Add the headers that the middleware behind the lane adds."""
    response["X-Frame-Options"] = settings.X_FRAME_OPTIONS
    if "Content-Length" not in response:
        response["Content-Length"] = str(len(response.content))
    return response


def _json(body: bytes) -> HttpResponse:
    return HttpResponse(body, content_type="application/json")


def _only(request: HttpRequest, name: str) -> str | None:
    """Return the one parameter of the query; None where there is another, or it is given twice."""
    given: Mapping[str, list[str]] = dict(request.GET.lists())
    return given[name][0] if list(given) == [name] and len(given[name]) == 1 else None


def _is_id(reference: str) -> bool:
    return reference.isascii() and reference.isdigit() and len(reference) <= _ID_DIGITS


def _allocation(request: HttpRequest) -> HttpResponse | None:
    name, _, reference = request.META.get("QUERY_STRING", "").partition("=")
    return _json(allocation_json(reference)) if name == "experiment_id" and _is_id(reference) else None


def _history(request: HttpRequest, reference: str) -> HttpResponse | None:
    return None if request.META.get("QUERY_STRING") else _json(history_json(reference))


def _list(request: HttpRequest) -> HttpResponse | None:
    return None if request.META.get("QUERY_STRING") else answer_list(request, start=0, size=100)


def _in_force(request: HttpRequest, reference: str) -> HttpResponse | None:
    return None if request.META.get("QUERY_STRING") else answer_in_force(request, reference)


def _assignment(request: HttpRequest, reference: str) -> HttpResponse | None:
    unit = _only(request, "unit")
    return _json(orjson.dumps(assign_one(reference, unit))) if is_unit(unit) and unit else None


def _assignments(request: HttpRequest, reference: str) -> HttpResponse | None:
    if request.META.get("QUERY_STRING"):
        return None
    return _json(orjson.dumps(assign_units(reference, orjson.loads(request.body))))


def _events(request: HttpRequest) -> HttpResponse:
    return _json(orjson.dumps(record_classic(orjson.loads(request.body))))


def _rows(request: HttpRequest) -> HttpResponse | None:
    if _IDEMPOTENT in request.META or request.META.get("QUERY_STRING"):
        return None
    return _json(orjson.dumps(record_rows(orjson.loads(request.body), once=False)))


_READS, _BOTH, _WRITES = "GET, HEAD, OPTIONS", "GET, POST, HEAD, OPTIONS", "POST, OPTIONS"
HOT: dict[str, Hot] = {
    "v1:allocation": Hot("GET", Scope.READ, _in_force, _BOTH),
    "v1:assignment": Hot("GET", Scope.READ, _assignment, _READS),
    "v1:assignments": Hot("POST", Scope.READ, _assignments, _WRITES),
    "v1:events": Hot("POST", Scope.WRITE, _rows, _WRITES, writes=True),
    **{
        f"classic-{name}{slash}": hot
        for slash in ("", "-slash")
        for name, hot in {
            "allocation": Hot("GET", Scope.READ, _allocation, "GET, OPTIONS", writes=True),
            "history": Hot("GET", Scope.READ, _history, "GET, OPTIONS"),
            "experiments": Hot("GET", Scope.READ, _list, _BOTH),
            "events": Hot("POST", Scope.WRITE, _events, "OPTIONS, POST", writes=True),
        }.items()
    },
}
