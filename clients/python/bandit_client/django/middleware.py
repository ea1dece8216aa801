"""Makes ``request.bandit``, and keeps the visitor's name and exposures in cookies."""

import functools
import threading
import uuid
from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string

from bandit_client.client import Client
from bandit_client.django.visitor import BanditRequest, Visitor

UNIT_COOKIE = "bandit_unit"
SEEN_COOKIE = "bandit_seen"
_YEAR = 365 * 24 * 3600
_SALT = "bandit_client"
# A cookie is anybody's text. The service takes no longer names of visitors either.
_LONGEST_UNIT = 255
# Browsers drop a cookie above 4,096 bytes: the exposures that are oldest go first.
_MOST_SEEN, _MOST_BYTES = 40, 3800

# How long the first visitor of a process waits for the rule set; without it they would see the default, uncounted.
_FIRST_WAIT = 1.0
_making = threading.Lock()


def get_client() -> Client:
    """The process's client, made of the setting BANDIT at its first use."""
    with _making:
        return _client()


@functools.cache
def _client() -> Client:
    arguments: dict[str, Any] = getattr(settings, "BANDIT", {})
    client = Client(**arguments)
    client.wait_until_ready(_FIRST_WAIT)
    return client


class BanditMiddleware:
    sync_capable, async_capable = True, False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        own: str | None = getattr(settings, "BANDIT_UNIT", None)
        self._own_unit: Callable[[HttpRequest], str | None] | None = import_string(own) if own else None

    def __call__(self, request: HttpRequest) -> HttpResponse:
        known = request.COOKIES.get(UNIT_COOKIE)
        unit = _named(self._own_unit(request)) if self._own_unit else _kept_unit(known)
        visitor = Visitor(get_client(), unit, _seen(request, unit))
        cast(BanditRequest, request).bandit = visitor
        response = self._get_response(request)
        if visitor.has_changed:
            _keep(response, SEEN_COOKIE, _signed(visitor), request)
            if unit != known and self._own_unit is None and unit:
                _keep(response, UNIT_COOKIE, unit, request)
            # A page that depends on the visitor must not be served to another one.
            response.headers.setdefault("Cache-Control", "private")
        return response


def _named(unit: str | None) -> str | None:
    """The site's own unit; None for a blank one, which takes part in no experiment."""
    return None if not unit or str(unit).isspace() else unit


def _kept_unit(known: str | None) -> str:
    """The unit of the cookie; a new one where there is none, or what no visitor of ours has."""
    return known if known and len(known) <= _LONGEST_UNIT else uuid.uuid4().hex


def _keep(response: HttpResponse, name: str, value: str, request: HttpRequest) -> None:
    response.set_cookie(name, value, _YEAR, httponly=True, samesite="Lax", secure=request.is_secure())


def _signed(visitor: Visitor) -> str:
    latest = sorted(visitor.seen.items(), key=lambda entry: entry[1][1])[-_MOST_SEEN:]
    text = _dumped(visitor, latest)
    while latest and len(text) > _MOST_BYTES:
        latest = latest[1:]
        text = _dumped(visitor, latest)
    return text


def _dumped(visitor: Visitor, seen: list[tuple[str, list[str]]]) -> str:
    return signing.dumps([visitor.unit, dict(seen)], salt=_SALT, compress=True)


def _seen(request: HttpRequest, unit: str | None) -> dict[str, Any]:
    """The exposures in the cookie; none where somebody wrote it by hand, or it is another unit's."""
    try:
        owner, seen = signing.loads(request.COOKIES.get(SEEN_COOKIE, ""), salt=_SALT)
    except (signing.BadSignature, ValueError):
        return {}
    return dict(seen) if owner == unit else {}
