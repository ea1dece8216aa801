"""One id for each request: in every line of the log that it causes, and in its answer as X-Request-ID.

A request that succeeds writes its own line at DEBUG only (what it did, a decision or an ingestion, has a line of its
own); one that is refused at INFO, one that fails at ERROR, with the traceback.
"""

import logging
import re
import uuid

import structlog
from django.http import HttpRequest, HttpResponse
from django_structlog.middlewares import RequestMiddleware

HEADER = "X-Request-ID"
_logger = logging.getLogger("django_structlog.middlewares.request")
_META = "HTTP_X_REQUEST_ID"
_TAKEN = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def request_id() -> str | None:
    """Of the request being answered; None outside of one."""
    found: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return found


class RequestLog(RequestMiddleware):
    """The id is the caller's where it sent a sound one. Where nothing would be written, nothing is put together."""

    def prepare(self, request: HttpRequest) -> None:
        given = request.META.get(_META, "")
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(
            request_id=given if _TAKEN.fullmatch(given) else str(uuid.uuid4())
        )

    def handle_response(self, request: HttpRequest, response: HttpResponse) -> None:
        response[HEADER] = request_id() or ""
        told = response.status_code >= 400 or hasattr(request, "_raised_exception")
        if told or _logger.isEnabledFor(logging.DEBUG):
            super().handle_response(request, response)
        else:
            structlog.contextvars.clear_contextvars()

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        """Without the query, and without what a path may hold: a link that resets a password is a secret."""
        path = request.path
        if path.startswith("/accounts/reset/"):
            path = "/accounts/reset/..."
        return f"{request.method} {path}"
