"""Requests, answers and their latency for Prometheus, under the names that dashboards of Django services use.

Few things are counted: each counter is a write to a file that the workers share, and an unchanged allocation is
answered in less than a millisecond.
"""

import time
from collections.abc import Callable
from functools import lru_cache

from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter, Histogram

GetResponse = Callable[[HttpRequest], HttpResponse]

# Health checks and scrapes come every few seconds and are not traffic.
UNCOUNTED = frozenset({"/metrics", "/health", "/health/", "/health/live", "/health/live/"})

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# A client may send any word as its method; each label value is a time series.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})

REQUESTS = Counter("django_http_requests_before_middlewares", "Requests, before middleware.")
RESPONSES = Counter("django_http_responses_before_middlewares", "Responses, after middleware.")
SECONDS = Histogram(
    "django_http_requests_latency_including_middlewares_seconds",
    "Time to a response, middleware included.",
    buckets=_BUCKETS,
)
RESPONSES_BY_STATUS = Counter("django_http_responses_total_by_status", "Responses, by status.", ["status"])
RESPONSES_BY_VIEW = Counter(
    "django_http_responses_total_by_status_view_method",
    "Responses, by status, view and method.",
    ["status", "view", "method"],
)
SECONDS_BY_VIEW = Histogram(
    "django_http_requests_latency_seconds_by_view_method",
    "Time in the view, by view and method.",
    ["view", "method"],
    buckets=_BUCKETS,
)
EXCEPTIONS = Counter("django_http_exceptions_total_by_type", "Exceptions of views, by type.", ["type"])


def count_requests(get_response: GetResponse) -> GetResponse:
    """Middleware, the outermost: counts requests and their whole latency."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path in UNCOUNTED:
            return get_response(request)
        start = time.perf_counter()
        REQUESTS.inc()
        response = get_response(request)
        RESPONSES.inc()
        SECONDS.observe(time.perf_counter() - start)
        return response

    return middleware


class CountViews:
    """Middleware, the innermost: counts responses by view, method and status."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path in UNCOUNTED:
            return self._get_response(request)
        start = time.perf_counter()
        response = self._get_response(request)
        count_response(request, response, time.perf_counter() - start)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        EXCEPTIONS.labels(type(exception).__name__).inc()


def count_response(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    by_status, by_view, of_seconds = _series(str(response.status_code), _view_name(request), _method(request))
    by_status.inc()
    by_view.inc()
    of_seconds.observe(seconds)


# Finding a series by its labels takes longer than adding to it. They are few: views, methods and statuses are.
@lru_cache(maxsize=4096)
def _series(status: str, view: str, method: str) -> tuple[Counter, Counter, Histogram]:
    return (
        RESPONSES_BY_STATUS.labels(status),
        RESPONSES_BY_VIEW.labels(status, view, method),
        SECONDS_BY_VIEW.labels(view, method),
    )


def _view_name(request: HttpRequest) -> str:
    return (request.resolver_match and request.resolver_match.view_name) or "<unnamed view>"


def _method(request: HttpRequest) -> str:
    return request.method if request.method in _METHODS else "<invalid method>"
