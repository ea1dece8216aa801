"""What holds for every request, before any view."""

from collections.abc import Callable

from csp.middleware import CSPMiddleware
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

from bandit_project.api.errors import problem_response

GetResponse = Callable[[HttpRequest], HttpResponse]

_PAGES = ("/dashboard", "/accounts/", "/admin")


class PageLanguage(LocaleMiddleware):
    """Pages speak the visitor's language; the APIs always English, as programs compare their words."""

    def process_request(self, request: HttpRequest) -> None:
        if request.path.startswith(_PAGES):
            super().process_request(request)
        else:
            translation.activate(settings.LANGUAGE_CODE)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return super().process_response(request, response) if request.path.startswith(_PAGES) else response


class PagePolicy(CSPMiddleware):
    """Pages say what they may load; an answer in JSON loads nothing, and spelling the policy takes its time."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if response.headers.get("Content-Type", "").startswith("text/html"):
            return super().process_response(request, response)
        return response


def by_address(get_response: GetResponse) -> GetResponse:
    """Probes and scrapers call a container by its address, which is no name in ALLOWED_HOSTS: take it for one."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path in settings.BY_ADDRESS and settings.ALLOWED_HOSTS:
            request.META["HTTP_HOST"] = settings.ALLOWED_HOSTS[0].lstrip(".")
        return get_response(request)

    return middleware


def resource_policy(get_response: GetResponse) -> GetResponse:
    """No page of another site may embed what is here. CORS, where it is allowed, is not concerned."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response

    return middleware


def body_limit(get_response: GetResponse) -> GetResponse:
    """Refuses a body that says it is too large, before a byte of it is read.

    A body without a length (chunked) reaches Django as empty, one with a false length as what it says.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isascii() and length.isdigit() and int(length) > settings.MAX_BODY_BYTES:
            return problem_response(
                413,
                "body_too_large",
                f"The body is {int(length):,} bytes; at most {settings.MAX_BODY_BYTES:,} are taken.",
            )
        return get_response(request)

    return middleware
