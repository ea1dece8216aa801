"""Forms whose answer shows a secret, which is not kept: a reload must not make a second one."""

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

_View = Callable[..., HttpResponse]
_SENT = "sent_forms"
_MOST = 20
# Another in each form that is shown, and the same in one that is sent again.
_OF_FORM = "csrfmiddlewaretoken"


def refuse_repeated(view: _View) -> _View:
    """Lead who reloads the answer of a form to its page, with a sentence; the view calls ``note_sent`` when it is done.

    The answer itself shows the secret: if it led to another page, the secret would wait for that in the database.
    """

    @wraps(view)
    def once(request: HttpRequest, *args: Any, **parts: Any) -> HttpResponse:
        if request.method == "POST" and _digest(request) in request.session.get(_SENT, []):
            said = _(
                "This form was sent before, and nothing was made again. What it showed then is shown only once."
            )
            messages.warning(request, said)
            return redirect(request.get_full_path())
        return view(request, *args, **parts)

    return once


def note_sent(request: HttpRequest) -> None:
    """Remember a form of a page that has had its effect; programs send no token of a form."""
    if _OF_FORM in request.POST:
        request.session[_SENT] = [*request.session.get(_SENT, []), _digest(request)][-_MOST:]


def _digest(request: HttpRequest) -> str:
    return hashlib.sha256(f"{request.path}?{request.POST.urlencode()}".encode()).hexdigest()
