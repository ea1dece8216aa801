"""Bounds on what somebody without an account may cost: checks of passwords, rows of failed logins, mails.

Each check of a password takes a third of a second of a core, so that guessing is slow. Who sends wrong ones is refused
before the check; and of a worker's threads at most two check at once, so that the others go on serving.
"""

import hashlib
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

from axes.models import AccessAttempt
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from bandit_project.api.errors import page_or_problem
from experiments.rates import caller_of, count_within, counted

View = Callable[..., HttpResponseBase]

# Django's limit of the column, which its form shows to browsers and does not check.
LONGEST_USERNAME = 150
# Within a minute, of one address. A person has been locked out by then; many people behind one address are not.
WRONG_LOGINS_A_MINUTE = 20
# About 15 MB. The oldest go first.
MOST_FAILED_LOGINS = 5000
MAILS_AN_HOUR = 3
RESETS_AN_HOUR = 20
ROUND_TRIPS_A_MINUTE = 60
_MINUTE, _HOUR = 60, 3600
_CHECKS_AT_ONCE = 2

_checking = threading.BoundedSemaphore(_CHECKS_AT_ONCE)


def guarded_login(view: View) -> View:
    """Refuse a login that costs more than it may, before its password is checked."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            return view(request, *args, **kwargs)
        if len(request.POST.get("username", "")) > LONGEST_USERNAME:
            message = _("A user name has at most %(most)s characters.") % {"most": LONGEST_USERNAME}
            return page_or_problem(request, 400, "bad_request", message)
        key = f"wrong-logins-{caller_of(request)}"
        if counted(key) >= WRONG_LOGINS_A_MINUTE:
            return _refused(request, _MINUTE)
        if not _checking.acquire(blocking=False):
            return _refused(request, 1)
        try:
            response = view(request, *args, **kwargs)
        finally:
            _checking.release()
        if response.status_code != 302:
            count_within(key, _MINUTE)
            drop_oldest_failures()
        return response

    return guarded


def limited_mails(view: View) -> View:
    """Send few mails to one person, and few for one address. Past that the answer is as ever, and no mail is sent."""

    @wraps(view)
    def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            return view(request, *args, **kwargs)
        person = hashlib.sha256(_written_plainly(request.POST.get("email", ""))).hexdigest()
        network = caller_of(request)
        if (
            count_within(f"resets-by-{network}", _HOUR) > RESETS_AN_HOUR
            or count_within(f"resets-of-{person}", _HOUR) > MAILS_AN_HOUR
        ):
            return redirect("password_reset_done")
        return view(request, *args, **kwargs)

    return limited


def limited_round_trips(view: View) -> View:
    """Ask the OpenID provider seldom for one address: a call waits for it. How many do at once is bounded there."""

    @wraps(view)
    def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        key = f"round-trips-{caller_of(request)}"
        if count_within(key, _MINUTE) > ROUND_TRIPS_A_MINUTE:
            return _refused(request, _MINUTE)
        return view(request, *args, **kwargs)

    return limited


def drop_oldest_failures(most: int = MOST_FAILED_LOGINS) -> None:
    """Keep the newest failed logins: names may be made up without end."""
    oldest = AccessAttempt.objects.order_by("-pk").values_list("pk", flat=True)[most : most + 1].first()
    if oldest is not None:
        AccessAttempt.objects.filter(pk__lte=oldest).delete()


def _written_plainly(email: str) -> bytes:
    return email.strip().casefold().encode("utf-8", "replace")


def _refused(request: HttpRequest, seconds: int) -> HttpResponse:
    response = page_or_problem(request, 429, "throttled", _("Too many requests. Try again later."))
    response["Retry-After"] = str(seconds)
    return response
