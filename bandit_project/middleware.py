"""What holds for every request, before any view."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from bandit_project.errors import problem_response

GetResponse = Callable[[HttpRequest], HttpResponse]


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
