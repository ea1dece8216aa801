"""Facts that a browser takes to the provider and back: in a signed cookie, so that nobody fills the database.

The cookie ties the answer to the browser that asked (``state``), the token to this log-in (``nonce``) and the code to
who asked for it (``verifier``, PKCE). It serves once, within ten minutes.
"""

import secrets
from typing import NamedTuple

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare

from bandit_project.administration.oidc.provider import OidcError

_COOKIE, _SALT, _PATH = "oidc", "bandit_project.oidc", "/accounts/oidc/"
_SECONDS = 600


class RoundTrip(NamedTuple):
    """A log-in that has begun; ``goal`` is where it leads afterwards."""

    state: str
    nonce: str
    verifier: str
    goal: str


def begin(goal: str) -> RoundTrip:
    return RoundTrip(_random(), _random(), _random(), goal)


def _random() -> str:
    return secrets.token_urlsafe(48)


def put(response: HttpResponse, trip: RoundTrip, *, is_secure: bool) -> None:
    value = signing.dumps(trip, salt=_SALT)
    # Lax: the provider leads back from another site.
    response.set_cookie(
        _COOKIE, value, max_age=_SECONDS, path=_PATH, httponly=True, secure=is_secure, samesite="Lax"
    )


def take(request: HttpRequest) -> RoundTrip:
    """Return what this browser began with; refuse an answer to anything else."""
    try:
        trip = RoundTrip(*signing.loads(request.COOKIES.get(_COOKIE, ""), salt=_SALT, max_age=_SECONDS))
    except (signing.BadSignature, TypeError) as error:
        raise OidcError("not_begun_here") from error
    if not constant_time_compare(request.GET.get("state", ""), trip.state):
        raise OidcError("other_state")
    return trip


def forget(response: HttpResponse) -> None:
    response.delete_cookie(_COOKIE, path=_PATH, samesite="Lax")
