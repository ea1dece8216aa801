"""/metrics for Prometheus, with METRICS_TOKEN or from METRICS_ALLOWED_ADDRESSES.

The address is that of the connection. Behind a proxy it is the proxy's for every client: use the token there. In DEBUG
/metrics is open; where neither variable is set it answers 404.
"""

import ipaddress
import os
import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from bandit_project.api.errors import problem_response
from bandit_project.ops.metrics.counters import uncounted
from bandit_project.ops.metrics.gauges import DatabaseCollector


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    if refused := _refusal(request):
        return refused
    with uncounted():
        body = generate_latest(_counters()) + generate_latest(_gauges())
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST)


def _refusal(request: HttpRequest) -> HttpResponse | None:
    if settings.DEBUG or _has_token(request) or _is_allowed(request.META.get("REMOTE_ADDR", "")):
        return None
    if settings.METRICS_TOKEN:
        answer = problem_response(401, "not_authenticated", "Send Authorization: Bearer with METRICS_TOKEN.")
        answer["WWW-Authenticate"] = "Bearer"
        return answer
    return problem_response(404, "not_found", "There is nothing at /metrics.")


def _has_token(request: HttpRequest) -> bool:
    word, _, given = request.headers.get("Authorization", "").partition(" ")
    right = settings.METRICS_TOKEN.encode()
    return bool(right) and word.lower() == "bearer" and secrets.compare_digest(given.strip().encode(), right)


def _is_allowed(address: str) -> bool:
    try:
        asking = ipaddress.ip_address(address)
    except ValueError:
        return False  # A Unix socket has no address.
    return any(asking in network for network in settings.METRICS_ALLOWED_ADDRESSES)


def _counters() -> CollectorRegistry:
    """The counters of all workers where they share a folder, else of this process."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry


def _gauges() -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(DatabaseCollector())
    return registry
