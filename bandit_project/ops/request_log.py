"""One id for each request: in every line of the log that it causes, and in its answer as X-Request-ID.

A request that succeeds writes its own line at DEBUG, or at INFO with LOG_REQUESTS: a decision or an ingestion has a
line of its own. One that is refused is logged at INFO. One that fails is logged at ERROR, with the traceback. The line
is written when the answer is known, and says its status. Each line names the client's address, and the API key or the
user that it came with.
"""

import logging
import random
import re
import sys
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse

from bandit_project.models import ApiKey
from bandit_project.ops.lockout import client_address
from experiments.events import request_id

HEADER = "X-Request-ID"
_logger = structlog.stdlib.get_logger("bandit.requests")
_META = "HTTP_X_REQUEST_ID"
_ACCEPTED = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_WITH_SECRETS = ("/accounts/reset/", "/accounts/invitation/", "/dashboard/shared/")
_LEVELS = {4: logging.INFO, 5: logging.ERROR}

# Where a request keeps the exception that Django answers, until its answer is known and its line can say it.
_FAILURE = "_failure"


def log_requests(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: gives each request its id and logs how it ended."""
    got_request_exception.connect(_keep_failure, dispatch_uid="bandit-request-failed")

    def middleware(request: HttpRequest) -> HttpResponse:
        structlog.contextvars.bind_contextvars(request_id=_id_for(request))
        try:
            response = get_response(request)
        except Exception:  # the page of the error has failed itself
            _logger.exception("request_failed", code=500, request=_line_of(request), **_caller(request))
            raise
        response[HEADER] = request_id() or ""
        _log_finished(request, response)
        structlog.contextvars.unbind_contextvars("request_id")
        return response

    return middleware


def _id_for(request: HttpRequest) -> str:
    """The caller's own id where it sent a valid one, else a new one."""
    given: str = request.META.get(_META, "")
    if given and _ACCEPTED.fullmatch(given):
        return given
    # no secret: the system's random bytes would take a call of it, in which other threads run
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def _log_finished(request: HttpRequest, response: HttpResponse) -> None:
    """Write the one line of a request; with the traceback where an exception has become a fault of ours."""
    failure = vars(request).pop(_FAILURE, None)
    code, level = response.status_code, _LEVELS.get(response.status_code // 100, _level_of_success(request))
    if failure is not None and code >= 500:
        event, more = "request_failed", {"exc_info": failure}
    else:
        event, more = "request_finished", {}
    if _logger.isEnabledFor(level):
        _logger.log(level, event, code=code, request=_line_of(request), **_caller(request), **more)


def _level_of_success(request: HttpRequest) -> int:
    """INFO where each request is to have a line; probes and scrapers come every few seconds and say nothing."""
    is_wanted = settings.LOG_REQUESTS and request.path not in settings.BY_ADDRESS
    return logging.INFO if is_wanted else logging.DEBUG


def _caller(request: HttpRequest) -> dict[str, str]:
    """The client's address, and the key's or the user's name where the request has already asked for it."""
    caller = {"address": client_address(request)}
    key, user = getattr(request, "auth", None), getattr(request, "_cached_user", None)
    if isinstance(key, ApiKey):
        caller["key"] = key.name
    elif user is not None and user.is_authenticated:
        caller["user"] = user.get_username()
    return caller


def _keep_failure(sender: Any, request: HttpRequest | None = None, **kwargs: Any) -> None:
    """Keep the exception that Django is about to answer; the first one is the cause."""
    if request is not None:
        vars(request).setdefault(_FAILURE, sys.exception())


def _line_of(request: HttpRequest) -> str:
    """Method and path, without the query and without the secret in the link of a reset, an invitation or a report."""
    secret = next((start for start in _WITH_SECRETS if request.path.startswith(start)), None)
    return f"{request.method} {f'{secret}...' if secret else request.path}"
