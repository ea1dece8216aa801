"""Addresses of buttons and forms, which take a POST alone and show nothing by themselves."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from dashboard.access import View

_LOOKS = {"GET", "HEAD"}


def post_only(page: str, *places: str) -> Callable[[View], View]:
    """Let a view take a POST alone; who looks at its address is led to the ``page`` of its form.

    Browsers keep the address of a form that was refused: people bookmark it, and the switch of the language leads
    back there. ``places`` are the parts of the address that the page's own has too. The page decides who may see it.
    """

    def decorate(view: View) -> View:
        posted = require_POST(view)

        @wraps(view)
        def led(request: HttpRequest, *args: Any, **parts: Any) -> HttpResponseBase:
            if request.method in _LOOKS:
                return redirect(reverse(page, kwargs={name: parts[name] for name in places}))
            answer: HttpResponseBase = posted(request, *args, **parts)
            return answer

        return led

    return decorate
