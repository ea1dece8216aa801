"""Buttons of the administration's pages: each calls one service and leads back to its page."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from dashboard.access import View, requires
from dashboard.posts.post_only import post_only
from experiments.exceptions import DomainError, InvalidError
from experiments.roles import Role

Act = Callable[..., str | HttpResponse]


def administers(back: str, page: str = "", *places: str) -> Callable[[Act], View]:
    """Turn an act into a view of a POST by administrators; what the service refuses is shown on the page ``back``.

    The act answers what to say, or the response. ``page`` has its form, where that is another one, and is found by
    the ``places`` of the address.
    """

    def decorate(act: Act) -> View:
        @post_only(page or back, *places)
        @requires(Role.ADMIN)
        def view(request: HttpRequest, **place: str | int) -> HttpResponse:
            try:
                answer = act(request, **place)
            except DomainError as error:
                messages.error(request, error_text(error))
            else:
                if isinstance(answer, HttpResponse):
                    return answer
                messages.success(request, answer)
            return redirect(back)

        return view

    return decorate


def error_text(error: DomainError) -> str:
    return "; ".join(i.message for i in error.issues) if isinstance(error, InvalidError) else str(error)
