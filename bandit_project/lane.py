"""The short way of what programs and visitors' software call with a key: past sessions, cookies and pages, which take
most of the time of a request. Probes go it too.

Without a key, such as with a person's session, a request goes the usual way to the same answer. One that names no
origin, as no program does, also passes by the middleware that adds headers: its answer gets what they would add.
"""

import time
from collections.abc import Callable, Mapping
from functools import cache, lru_cache, partial
from io import BytesIO

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.exception import response_for_exception
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.module_loading import import_string

from bandit_project.api.hot import as_the_view_would, try_hot
from bandit_project.api.keys import given_key
from bandit_project.api.served import ServedView
from bandit_project.body_length import body_length
from bandit_project.ops.health import health, live
from bandit_project.ops.metrics.requests import CountViews, count_response
from serving.api.visits import rule_set

GetResponse = Callable[[HttpRequest], HttpResponse]
# As Django keeps them: each name and value by the name in lower case.
Headers = Mapping[str, tuple[str, str]]

# Visitors ask for a few experiments; matching every pattern of the project takes longer than finding a key.
_match = lru_cache(maxsize=1024)(resolve)
_PATHS = ("/ofrep/", "/api/v1/", "/events", "/allocation", "/experiments")
_PROBES: Mapping[str, GetResponse] = {"/health": health, "/health/live": live}
# REST framework's view of it, which the OpenAPI document describes, gives the same answer.
_RULE_SET = ServedView(rule_set, "GET", "HEAD")
_MOST_HOSTS = 1000


def lane(get_response: GetResponse) -> GetResponse:
    """Middleware, behind those that every request needs: for requests that name their origin."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not ("HTTP_ORIGIN" in request.META and _has_key(request)):
            return get_response(request)
        request.get_host()  # refuses a host that is not ours
        return _answer(request) or get_response(request)

    return middleware


def first_lane(get_response: GetResponse) -> GetResponse:
    """Middleware, in front of them: for requests that name none."""
    headers, hosts = cache(partial(_headers_between, first_lane, lane)), set[str]()

    def middleware(request: HttpRequest) -> HttpResponse:
        response = None
        if "HTTP_ORIGIN" in request.META or request.method == "OPTIONS":
            pass  # browsers', to which CORS answers
        elif request.method == "GET" and request.path_info in _PROBES:
            response = as_the_view_would(_PROBES[request.path_info](request))
        elif _has_key(request) and _passes(request, hosts):
            response = _answer(request)
        if response is None:
            return get_response(request)
        return _with_headers(response, headers(request.is_secure()))

    return middleware


def _has_key(request: HttpRequest) -> bool:
    return request.path_info.startswith(_PATHS) and bool(given_key(request.META))


def _passes(request: HttpRequest, hosts: set[str]) -> bool:
    """Tell whether the middleware that is passed by would let it through: its scheme, its host, its body's length.

    ``hosts`` are those that were found to be ours.
    """
    length = body_length(request.META)
    if length is None or length > settings.MAX_BODY_BYTES:
        return False
    if settings.SECURE_SSL_REDIRECT and not request.is_secure():
        return False
    if (host := request.META.get("HTTP_HOST", "")) not in hosts:
        try:
            request.get_host()
        except DisallowedHost:
            return False
        if len(hosts) >= _MOST_HOSTS:
            hosts.clear()
        hosts.add(host)
    return True


def _headers_between(first: object, last: object, is_secure: bool) -> Headers:
    """Return the headers that the middleware between two adds to any answer, by their names in lower case."""
    places = [import_string(path) for path in settings.MIDDLEWARE]
    chain: GetResponse = lambda _request: HttpResponse(content_type="application/json")  # noqa: E731
    for middleware in reversed(places[places.index(first) + 1 : places.index(last)]):
        chain = middleware(chain)
    probe = WSGIRequest(
        {
            "REQUEST_METHOD": "GET", "PATH_INFO": next(iter(_PROBES)), "SERVER_NAME": "localhost",
            "SERVER_PORT": "80", "wsgi.url_scheme": "https" if is_secure else "http", "wsgi.input": BytesIO(),
        }
    )  # fmt: skip
    added = chain(probe).items()
    return {name.lower(): (name, value) for name, value in added if name != "Content-Type"}


def _with_headers(response: HttpResponse, headers: Headers) -> HttpResponse:
    """Add what the answer has not; all at once, as Django looks at each name and value again."""
    given: Headers = response.headers._store
    response.headers._store = {**headers, **given}
    if "vary" in given and "vary" in headers:
        patch_vary_headers(response, headers["vary"][1].split(", "))
    return response


def _answer(request: HttpRequest) -> HttpResponse | None:
    translation.activate(settings.LANGUAGE_CODE)
    try:
        request.resolver_match = _match(request.path_info)
    except Resolver404:
        return None
    if _served(request) is not None:
        return _counted_call(request)
    start = time.perf_counter()
    response = _hot(request)
    if response is not None:
        count_response(request, response, time.perf_counter() - start)
    return response


def _served(request: HttpRequest) -> ServedView | None:
    match = request.resolver_match
    if match is not None and match.view_name == "v1:ruleset":
        # REST framework's view refuses parameters that it does not know
        return None if request.META.get("QUERY_STRING") else _RULE_SET
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


_counted_call = CountViews(_call)
