"""Middleware for every request: language, the reader's own settings, security headers, host, body size."""

from collections.abc import Callable

from corsheaders.middleware import CorsMiddleware
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import translation
from django.utils.cache import patch_vary_headers

from bandit_project.administration.profile import preferences_of
from bandit_project.api.errors import problem_response
from dashboard.formatting import shown_in
from experiments.database.replica import primary_only

GetResponse = Callable[[HttpRequest], HttpResponse]

_PAGES = ("/dashboard", "/accounts/", "/admin")
_LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})
# The browser's note that a person has just changed something.
_CHANGED = "just_changed"


class PageLanguage(LocaleMiddleware):
    """Shows pages in the visitor's language. The APIs answer in English, as programs compare their messages."""

    def process_request(self, request: HttpRequest) -> None:
        if request.path.startswith(_PAGES):
            super().process_request(request)
        else:
            translation.activate(settings.LANGUAGE_CODE)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return super().process_response(request, response) if request.path.startswith(_PAGES) else response


def own_settings(get_response: GetResponse) -> GetResponse:
    """Show pages as the person who is logged in has chosen: language, theme and time zone."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(_PAGES) or not request.user.is_authenticated:
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
        if not is_look and request.path.startswith(_PAGES):
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

    Django reads a body without a length (chunked) as empty, and never more than Content-Length says.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isascii() and length.isdigit() and int(length) > settings.MAX_BODY_BYTES:
            return problem_response(
                413,
                "body_too_large",
                f"The body is {int(length):,} bytes; at most {settings.MAX_BODY_BYTES:,} are taken. "
                "Send it in parts.",
            )
        return get_response(request)

    return middleware
