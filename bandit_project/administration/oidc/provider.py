"""The provider's own description (OpenID Connect Discovery 1.0), read once an hour by each worker."""

from typing import Any, NamedTuple

import requests
from django.conf import settings
from django.core.cache import cache

TIMEOUT_SECONDS = 5
_KEPT_SECONDS = 3600
# One that did not answer is not asked again for so long: each call keeps a thread until its time is over.
_AWAY_SECONDS = 10


class OidcError(Exception):
    """A log-in that does not come about. ``reason`` is for the log; the person reads what ``views`` says of it."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


class Provider(NamedTuple):
    """Addresses of a provider. ``takes_basic``: the secret goes into a header, not into the form."""

    authorization: str
    token: str
    keys: str
    userinfo: str
    end_session: str
    takes_basic: bool


def read_provider() -> Provider:
    """Return the provider that OIDC_ISSUER names."""
    if cache.get(_away_key()):
        raise OidcError("provider_away", "it did not answer a moment ago")
    key = f"oidc-provider-{settings.OIDC_ISSUER}"
    found = cache.get(key)
    if found is None:
        found = _described(_fetched())
        cache.set(key, found, _KEPT_SECONDS)
    return Provider(*found)


def note_problem(error: requests.RequestException) -> None:
    """Remember for a moment that the provider does not answer."""
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        cache.set(_away_key(), True, _AWAY_SECONDS)


def _away_key() -> str:
    return f"oidc-provider-away-{settings.OIDC_ISSUER}"


def _fetched() -> dict[str, Any]:
    address = settings.OIDC_ISSUER.rstrip("/") + "/.well-known/openid-configuration"
    try:
        answer = requests.get(address, timeout=TIMEOUT_SECONDS, allow_redirects=False)
        answer.raise_for_status()
        return dict(answer.json())
    except (requests.RequestException, ValueError, TypeError) as error:
        if isinstance(error, requests.RequestException):
            note_problem(error)
        raise OidcError("provider_away", type(error).__name__) from error


def _described(document: dict[str, Any]) -> Provider:
    if document.get("issuer") != settings.OIDC_ISSUER:
        raise OidcError("other_issuer", f"it calls itself {document.get('issuer')!r}")
    # Basic is the default of the specification where the provider says nothing.
    methods = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    return Provider(
        authorization=_address(document, "authorization_endpoint", is_needed=True),
        token=_address(document, "token_endpoint", is_needed=True),
        keys=_address(document, "jwks_uri", is_needed=True),
        userinfo=_address(document, "userinfo_endpoint"),
        end_session=_address(document, "end_session_endpoint"),
        takes_basic="client_secret_post" not in methods,
    )


def _address(document: dict[str, Any], name: str, *, is_needed: bool = False) -> str:
    """An address over HTTPS, as the issuer's; plain HTTP counts where the issuer itself has it."""
    found = str(document.get(name) or "")
    schemes = ("https://",) if settings.OIDC_ISSUER.startswith("https://") else ("https://", "http://")
    if found.startswith(schemes):
        return found
    if is_needed or found:
        raise OidcError("provider_unusable", f"{name} is {found!r}")
    return ""
