"""Middleware for every request: language, the reader's own settings, security headers, host, body size."""

from collections.abc import Callable
from http import HTTPStatus

from corsheaders.middleware import CorsMiddleware
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _

from bandit_project.administration.profile import preferences_of
from bandit_project.api.errors import PAGES, is_browser, page_or_problem, problem_response
from bandit_project.body_length import body_length
from dashboard.access import page_of
from dashboard.formatting import shown_in
from experiments.database.replica import primary_only
from experiments.tables.uploads import shown_size, too_large
from experiments.text import on_a_page

GetResponse = Callable[[HttpRequest], HttpResponse]

_LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})
# The browser's note that a person has just changed something.
_CHANGED = "just_changed"


class PageLanguage(LocaleMiddleware):
    """Shows pages in the visitor's language. The APIs answer in English, as programs compare their messages."""

    def process_request(self, request: HttpRequest) -> None:
        if request.path.startswith(PAGES):
            super().process_request(request)
        else:
            translation.activate(settings.LANGUAGE_CODE)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return super().process_response(request, response) if request.path.startswith(PAGES) else response


def own_settings(get_response: GetResponse) -> GetResponse:
    """Show pages as the person who is logged in has chosen: language, theme and time zone."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(PAGES):
            return get_response(request)
        with on_a_page():
            return answer(request)

    def answer(request: HttpRequest) -> HttpResponse:
        if not request.user.is_authenticated:
            return get_response(request)
        chosen = preferences_of(request.user)
        vars(request)["preferences"] = chosen  # base.html reads the theme
        if chosen.language:
            translation.activate(chosen.language)
            request.LANGUAGE_CODE = translation.get_language()
        with shown_in(chosen.time_zone):
            return get_response(request)

    return middleware


def read_own_writes(get_response: GetResponse) -> GetResponse:
    """Show people what they have just changed: for as long as a replica may lag their pages come from the primary.

    Programs keep no cookies: they ask with ``Cache-Control: no-cache``, as a browser's full reload does.
    """
    if not settings.DATABASE_REPLICAS:
        raise MiddlewareNotUsed

    def middleware(request: HttpRequest) -> HttpResponse:
        is_look = request.method in _LOOKS
        if is_look and _CHANGED not in request.COOKIES and "no-cache" not in _cache_control(request):
            return get_response(request)
        with primary_only():
            response = get_response(request)
        if not is_look and request.path.startswith(PAGES):
            _note_change(response)
        return response

    return middleware


def _cache_control(request: HttpRequest) -> str:
    return request.headers.get("Cache-Control", "").lower()


def _note_change(response: HttpResponse) -> None:
    response.set_cookie(
        _CHANGED,
        "1",
        max_age=settings.DATABASE_REPLICA_LAG_SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


class PagePolicy(CSPMiddleware):
    """Adds the content security policy to pages only: JSON loads nothing, and writing the policy takes time."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if response.headers.get("Content-Type", "").startswith("text/html"):
            return super().process_response(request, response)
        return response


class Cors(CorsMiddleware):
    """Adds the headers that let browsers of other sites call; of a program's call, which names no origin, it does not
    read all headers to find that out.
    """

    def add_response_headers(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if "HTTP_ORIGIN" in request.META or not hasattr(request, "_cors_enabled"):
            return super().add_response_headers(request, response)
        if request._cors_enabled:
            patch_vary_headers(response, ("origin",))
        return response


def by_address(get_response: GetResponse) -> GetResponse:
    """Accept probes and scrapers, which call a container by its address, as if they used an allowed host name."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path in settings.BY_ADDRESS and settings.ALLOWED_HOSTS:
            request.META["HTTP_HOST"] = settings.ALLOWED_HOSTS[0].lstrip(".")
        return get_response(request)

    return middleware


def resource_policy(get_response: GetResponse) -> GetResponse:
    """Forbid pages of other sites to embed our answers. CORS, where it is allowed, still works."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response

    return middleware


def body_limit(get_response: GetResponse) -> GetResponse:
    """Refuse a body whose Content-Length is too large, before a byte of it is read.

    Django reads a body without a length (chunked) as empty, and never more than Content-Length says. The forms of pages
    are looked at once their reader is known (form_limit).
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if not _is_too_large(request) or _is_form(request):
            return get_response(request)
        said = (
            f"The body is {body_length(request.META):,} bytes; at most {settings.MAX_BODY_BYTES:,} are taken. "
            "Send it in parts."
        )
        return problem_response(413, "body_too_large", said)

    return middleware


def form_limit(get_response: GetResponse) -> GetResponse:
    """Refuse what a browser sends from a page, as body_limit does, by a page in its reader's language."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not _is_too_large(request):
            return get_response(request)
        said = too_large() if request.content_type == "multipart/form-data" else _form_too_large()
        return page_or_problem(request, 413, "body_too_large", said, back=page_of(request))

    return middleware


def shown_refusal(get_response: GetResponse) -> GetResponse:
    """Show a page to who comes to an address of pages by a method that it does not take: Django's answer is blank."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if response.status_code != HTTPStatus.METHOD_NOT_ALLOWED or not request.path.startswith(PAGES):
            return response
        said = _("This address only works from a button or a form. Go back to the page that has it.")
        shown = page_or_problem(request, response.status_code, "method_not_allowed", said)
        shown["Allow"] = response["Allow"]
        return shown

    return middleware


def _is_too_large(request: HttpRequest) -> bool:
    return (body_length(request.META) or 0) > settings.MAX_BODY_BYTES


def _is_form(request: HttpRequest) -> bool:
    return request.path.startswith(PAGES) and is_browser(request)


def _form_too_large() -> str:
    return _("A form may hold at most %(most)s. Shorten what it holds.") % {
        "most": shown_size(settings.MAX_BODY_BYTES)
    }
