"""Answers to too many failed logins, and the address that they are counted for."""

import ipaddress
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from bandit_project.api.errors import page_or_problem
from experiments.events import log_problem_event


def client_address(request: HttpRequest) -> str:
    """The address that the outermost of PROXY_COUNT trusted proxies saw. A client can forge the entries before it."""
    seen = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    if not settings.PROXY_COUNT or not seen:
        return str(request.META.get("REMOTE_ADDR", ""))
    return _address(seen[-min(settings.PROXY_COUNT, len(seen))])


def _address(text: str) -> str:
    """A valid address, as the database requires. All invalid ones count as one visitor."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return "0.0.0.0"  # noqa: S104  # no socket is bound to it


def locked_out(
    request: HttpRequest, credentials: dict[str, Any] | None, *args: Any, **kwargs: Any
) -> HttpResponse:
    """Answer 429, whether or not the password is right this time."""
    log_problem_event("login.locked_out", address=client_address(request))
    minutes = int(settings.AXES_COOLOFF_TIME.total_seconds() // 60)
    message = _("Too many failed logins. Try again in %(minutes)s minutes, or ask an administrator.")
    response = page_or_problem(request, 429, "throttled", message % {"minutes": minutes})
    response["Retry-After"] = str(60 * minutes)
    return response
