"""The short way of what programs and visitors' software call with a key: past sessions, cookies and pages, which take
most of the time of a request.

Without a key, such as with a person's session, a request goes the usual way to the same answer.
"""

import time
from collections.abc import Callable
from functools import lru_cache

from django.conf import settings
from django.core.handlers.exception import response_for_exception
from django.http import HttpRequest, HttpResponse
from django.urls import resolve
from django.utils import translation

from bandit_project.api.hot import try_hot
from bandit_project.api.keys import given_key
from bandit_project.api.served import ServedView
from bandit_project.ops.metrics.requests import CountViews, count_response
from serving.api.visits import rule_set

# Visitors ask for a few experiments; matching every pattern of the project takes longer than finding a key.
_match = lru_cache(maxsize=1024)(resolve)
_PATHS = ("/ofrep/", "/api/v1/", "/events", "/allocation", "/experiments")
# REST framework's view of it, which the OpenAPI document describes, gives the same answer.
_RULE_SET = ServedView(rule_set, "GET", "HEAD")


def lane(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware, behind those that every request needs."""
    counted = CountViews(_call)

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(_PATHS) or not given_key(request.META):
            return get_response(request)
        request.get_host()  # refuses a host that is not ours
        translation.activate(settings.LANGUAGE_CODE)
        request.resolver_match = _match(request.path_info)
        if _served(request) is not None:
            return counted(request)
        start = time.perf_counter()
        response = _hot(request)
        if response is None:
            return get_response(request)
        count_response(request, response, time.perf_counter() - start)
        return response

    return middleware


def _served(request: HttpRequest) -> ServedView | None:
    match = request.resolver_match
    if match is not None and match.view_name == "v1:ruleset":
        return _RULE_SET
    return match.func if match is not None and isinstance(match.func, ServedView) else None


def _hot(request: HttpRequest) -> HttpResponse | None:
    match = request.resolver_match
    if match is None:
        return None
    try:
        return try_hot(match.view_name or "", request, **match.kwargs)
    except Exception as error:  # an answer here, so that it is counted: no other middleware does
        return response_for_exception(request, error)


def _call(request: HttpRequest) -> HttpResponse:
    view, match = _served(request), request.resolver_match
    if view is None or match is None:
        raise TypeError("only what is served comes here")
    try:
        return view(request, **match.kwargs)
    except Exception as error:  # as above
        return response_for_exception(request, error)
