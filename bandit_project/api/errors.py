"""Errors as answers, in this one place: RFC 9457 problem details, application/problem+json."""

import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.core.exceptions import FieldDoesNotExist, FieldError, ObjectDoesNotExist, PermissionDenied
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import resolve
from django.utils.encoding import escape_uri_path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.views import exception_handler

from bandit_project.api.gone import is_gone
from bandit_project.api.refusals import is_unacceptable, reworded, unknown_format, with_place
from dashboard.access import page_of
from experiments.api.problems import flat_issues
from experiments.events import request_id
from experiments.exceptions import (
    MAX_ISSUES,
    MAX_SUMMED_UP,
    ChangedMeanwhileError,
    ConflictError,
    DomainError,
    ForbiddenError,
    InvalidError,
    Issue,
    NotFoundError,
    PreconditionFailedError,
    summed_up,
)
from experiments.text import Text

logger = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"
# How the paths begin at which people read; programs call all others.
PAGES = ("/dashboard", "/accounts/", "/admin")
_RETRY_AFTER = {"Retry-After": "5"}
_STATUS: dict[type[DomainError], int] = {
    NotFoundError: 404,
    ConflictError: 409,
    ForbiddenError: 403,
    PreconditionFailedError: 412,
    InvalidError: 422,
}

# Refusals of Django and DRF, before our own code runs.
_FRAMEWORK_CODES: dict[str, tuple[int, str]] = {
    "parse_error": (400, "The body is not JSON."),
    "bad_request": (400, "The request could not be read."),
    "not_authenticated": (401, "No API key or session."),
    "invalid_api_key": (401, "The API key is wrong, revoked or expired."),
    "csrf_failed": (403, "A session's write came without its CSRF token."),
    "unavailable": (503, "The database cannot be reached or is busy; Retry-After says when to come back."),
    "permission_denied": (403, "The key's scope does not allow it."),
    "method_not_allowed": (405, "The path does not take this method."),
    "not_acceptable": (406, "No format of the Accept header, or of `format` in the query, can be served."),
    "body_too_large": (413, "The body is larger than MAX_BODY_BYTES."),
    "unsupported_media_type": (415, "The body's media type is not taken."),
    "throttled": (429, "Too many requests; Retry-After says when to come back."),
    "counts_capped": (
        429,
        "The key has added all that it may today; Retry-After says when the next day begins.",
    ),
    "server_error": (500, "A fault of the service; it has been logged."),
}


def problem_codes() -> dict[str, dict[str, object]]:
    """Every stable code, with its status and meaning."""
    codes: dict[str, tuple[int, str]] = dict(_FRAMEWORK_CODES)
    kinds: list[type[DomainError]] = list(_STATUS)
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        status = next(status for parent, status in _STATUS.items() if issubclass(kind, parent))
        codes.setdefault(kind.code, (status, (kind.__doc__ or "").splitlines()[0]))
    return {code: {"status": status, "meaning": meaning} for code, (status, meaning) in sorted(codes.items())}


def problem(status: int, code: str, detail: str, **more: object) -> dict[str, object]:
    """The members of a problem document. ``type`` names the code; the documentation lists the codes."""
    title = HTTPStatus(status).phrase
    if status >= 500 and (found := request_id()):
        more["request_id"] = found  # With it, a reported failure can be found in the log.
    return {
        "type": f"urn:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": _printable(detail),
        **more,
    }


def _printable(text: str) -> str:
    """Escape half surrogate pairs, which JSON can hold and UTF-8 cannot."""
    return text.encode("utf-8", "backslashreplace").decode()


def problem_response(status: int, code: str, detail: str, **headers: str) -> HttpResponse:
    return _json(problem(status, code, detail), headers)


def _json(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> HttpResponse:
    """A problem as JSON, also from views that answer CSV, YAML or HTML."""
    return JsonResponse(body, status=body["status"], headers=headers, content_type=PROBLEM_JSON)


def handle_api_exception(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """DRF's exception handler: answers domain errors and DRF's own. Any other exception is a bug and stays one."""
    if isinstance(error, DomainError):
        return _problem_of_domain(error)
    if isinstance(error, DataError):
        logger.warning("a value that the database does not take", exc_info=error)
        return problem_response(400, "bad_request", "A value of the request is out of every range.")
    if (gone := _gone_meanwhile(error, context.get("request"))) is not None:
        return problem_response(*gone)
    if isinstance(error, OperationalError | InterfaceError):
        return _unavailable(error)
    if isinstance(error, UnreadablePostError):
        return problem_response(400, "bad_request", "The connection ended before the body did.")
    if isinstance(error, Http404) and is_unacceptable(context):
        error = exceptions.NotAcceptable()
    response = exception_handler(error, dict(context))
    if response is None:
        return None
    headers = {
        name: response[name] for name in ("Allow", "Retry-After", "WWW-Authenticate") if name in response
    }
    return _json(_problem_of_drf(error, context), headers)


def _problem_of_domain(error: DomainError) -> HttpResponse:
    status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
    if isinstance(error, InvalidError):
        body = _invalid(status, error.code, error.issues, error.members)
    else:
        body = problem(status, error.code, with_place(error.code, str(error)), **error.members)
    return _json(body)


def _invalid(
    status: int, code: str, issues: Sequence[Issue], members: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, object]:
    """Describe each problem, up to a bound, and name the first ones in the detail with the number of the others."""
    more = members.get("total_issues", len(issues)) - MAX_SUMMED_UP
    said = summed_up(issues)
    detail = f"{said.removesuffix('.')}; and {more:,} more" if more > 0 else said
    errors = [
        {name: _printable(text) for name, text in issue._asdict().items()} for issue in issues[:MAX_ISSUES]
    ]
    return problem(status, code, detail, **members, errors=errors)


def _gone_meanwhile(error: BaseException | None, request: HttpRequest | None) -> tuple[int, str, str] | None:
    """The answer where another client has deleted what the request was about, between two of its statements.

    Services lock what they change, and reads are of one moment (experiments/database/moment.py). This is for what is
    left: the admin's own pages, and rows that refer to one another. A row that is missed while all that the address
    names is there is a fault of ours.
    """
    if isinstance(error, ObjectDoesNotExist) and request is not None and is_gone(request):
        found = 404, NotFoundError.code, _("It was deleted while this was being answered.")
    elif isinstance(error, IntegrityError) and _breaks_reference(error):
        found = (
            409,
            ChangedMeanwhileError.code,
            _("What it belongs to was deleted meanwhile. Nothing was written."),
        )
    else:
        return None
    logger.warning("deleted meanwhile", exc_info=error)
    return found


_OF_ODD_VALUES = (ValueError, OverflowError, re.error, FieldDoesNotExist, FieldError)


def _is_bad_value(request: HttpRequest, error: BaseException | None) -> bool:
    """True where the database, or in the admin Django, could make nothing of a value that an address has.

    The admin's lists take any field and any comparison from the address: years past 9999, regular expressions that are
    none, texts for numbers, NUL bytes. Django answers some of them by itself.
    """
    if not isinstance(error, DataError):
        in_admin = request.path.startswith("/admin/") and request.method in {"GET", "HEAD"}
        by_regexp = isinstance(error, OperationalError) and "user-defined function" in str(error)
        if not in_admin or not (by_regexp or isinstance(error, _OF_ODD_VALUES)):
            return False
    logger.warning("a value of the request that cannot be read", exc_info=error)
    return True


def _breaks_reference(error: IntegrityError) -> bool:
    """True where a row would refer to one that is not there, as either database says it."""
    return getattr(error.__cause__, "sqlstate", None) == "23503" or "FOREIGN KEY" in str(error)


def _unavailable(error: Exception) -> HttpResponse:
    """503 for a database that is away, full or locked for too long. Nothing was written."""
    logger.error("database unavailable: %s", error)
    body = problem(
        503, "unavailable", "The database cannot be reached or is busy. Nothing was written; try again."
    )
    return _json(body, _RETRY_AFTER)


def _status(error: Exception) -> int:
    if isinstance(error, exceptions.ValidationError):
        return 422
    if isinstance(error, exceptions.APIException):
        return error.status_code
    return 404 if isinstance(error, Http404) else 403


def _problem_of_drf(error: Exception, context: Mapping[str, Any]) -> dict[str, object]:
    status = _status(error)
    if isinstance(error, exceptions.ValidationError):
        issues = [Issue(*found) for found in islice(flat_issues(error), MAX_ISSUES)]
        return _invalid(status, "invalid", issues)
    if isinstance(error, exceptions.APIException):
        return problem(status, _code(error), reworded(error, context))
    if isinstance(error, Http404):
        return problem(status, "not_found", str(error) or unknown_format(context) or "There is nothing here.")
    return problem(status, "permission_denied", str(error) or "You may not do this.")


def _code(error: exceptions.APIException) -> str:
    codes = error.get_codes()
    return codes if isinstance(codes, str) else "error"


def page_or_problem(
    request: HttpRequest, status: int, code: str, detail: str, back: str = ""
) -> HttpResponse:
    """Answer a browser with a page, which leads ``back`` where there is a form, and all others with a problem."""
    if is_browser(request):
        number = status >= 500 and request_id()
        shown = {"request_id": number, "back": back, **_words(status, code, detail)}
        return render(request, "error.html", shown, status=status)
    return problem_response(status, code, detail)


# The headings of error pages, by code.
_TITLES: Mapping[str, Text] = {
    "not_found": gettext_lazy("Page not found"),
    "permission_denied": gettext_lazy("Not allowed"),
    "method_not_allowed": gettext_lazy("Nothing to show here"),
    "csrf_failed": gettext_lazy("Session expired"),
    "body_too_large": gettext_lazy("Too large"),
    "throttled": gettext_lazy("Too many attempts"),
    "unavailable": gettext_lazy("Not available right now"),
    "server_error": gettext_lazy("Something went wrong"),
}


def _words(status: int, code: str, detail: str) -> dict[str, object]:
    title = _TITLES.get(code) or gettext_lazy("This did not work")
    return {"status": status, "title": title, "detail": _printable(detail)}


def is_browser(request: HttpRequest) -> bool:
    """Tell if HTML is named among what the caller takes; programs that take anything get JSON."""
    return any((kind.main_type, kind.sub_type) == ("text", "html") for kind in request.accepted_types)


def bad_request(request: HttpRequest, exception: BaseException | None) -> HttpResponse:
    return page_or_problem(request, 400, "bad_request", _("The request could not be read."))


def permission_denied(request: HttpRequest, exception: PermissionDenied) -> HttpResponse:
    return page_or_problem(request, 403, "permission_denied", str(exception) or _("You may not do this."))


@csrf_exempt
def not_found(request: HttpRequest, exception: Http404 | None = None) -> HttpResponse:
    """Lead who looks for a page to the address with its slash, where that is all that is wrong; else say so.

    A redirect of another call would lose its body.
    """
    meant = _meant(request)
    if meant and request.path.startswith(PAGES) and request.method in {"GET", "HEAD"}:
        address = escape_uri_path(meant)
        return redirect(f"{address}?{query}" if (query := request.META.get("QUERY_STRING")) else address)
    said = _("There is nothing at %(path)s. It may have been deleted or renamed.")
    if meant.endswith("/"):
        said = _("There is nothing at %(path)s. Send it to %(meant)s, which ends in a slash.")
    elif meant:
        said = _("There is nothing at %(path)s. Send it to %(meant)s, which does not end in a slash.")
    return page_or_problem(request, 404, "not_found", said % {"path": request.path, "meant": meant})


def _meant(request: HttpRequest) -> str:
    """Find the address that differs by the slash at its end and exists; blank where there is none."""
    path = request.path_info
    other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
    found = resolve(other)
    # the admin takes any address, to refuse it
    if found.func is not_found or (found.app_names == ["admin"] and found.url_name is None):
        return ""
    return request.path.removesuffix(path) + other


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    said = _("Your session expired. Go back to the form: your input is kept.")
    return page_or_problem(request, 403, "csrf_failed", said, back=page_of(request))


def server_error(request: HttpRequest) -> HttpResponse:
    error = sys.exception()
    if _is_bad_value(request, error):
        return bad_request(request, error)
    if (gone := _gone_meanwhile(error, request)) is not None:
        return page_or_problem(request, *gone)
    if isinstance(error, OperationalError | InterfaceError):
        return _unavailable_page(request, error) if is_browser(request) else _unavailable(error)
    said = _("A fault of the service. It has been logged; an administrator finds it by its ID.")
    return as_ofrep(request, page_or_problem(request, 500, "server_error", said))


_OFREP = "/ofrep/v1/evaluate/flags"


def as_ofrep(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Add to a problem what OpenFeature's providers read, where one of them has asked."""
    if not request.path.startswith(_OFREP) or response["Content-Type"] != PROBLEM_JSON:
        return response
    body = json.loads(response.content)
    asked = request.path.removeprefix(_OFREP).strip("/")
    more = {"errorCode": "GENERAL", "errorDetails": body["detail"]} | ({"key": asked[:255]} if asked else {})
    response.content = json.dumps(body | more).encode()
    response["Content-Type"] = "application/json"
    return response


def _unavailable_page(request: HttpRequest, error: Exception) -> HttpResponse:
    """The page for a 503, without the visitor's name, role and messages: those are in the database."""
    logger.error("database unavailable: %s", error)
    detail = _("The database cannot be reached or is busy. Nothing was written; try again.")
    shown = {"request_id": request_id(), **_words(503, "unavailable", detail)}
    of_request = {"request": request, "csrf_token": get_token(request), "LANGUAGES": settings.LANGUAGES}
    page = render_to_string("error.html", {**shown, **of_request})
    return HttpResponse(page, status=503, headers=_RETRY_AFTER)
