"""The provider's own description (OpenID Connect Discovery 1.0) and its keys, read once an hour by each worker.

Who asks the provider waits for it, and holds a thread that long. So few threads of a worker do at once, and one alone
while the provider is silent: the others go on serving.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import requests
from django.conf import settings
from django.core.cache import cache

from bandit_project.administration.oidc.exchange import ask, exchange

# For each read of an answer, and for all that a request of a browser asks: a provider may send a byte now and then.
TIMEOUT_SECONDS, TOTAL_SECONDS = 5, 15
_KEPT_SECONDS = 3600
# Threads that ask at once; for so long after a silence one alone.
_AT_ONCE, _SILENT_SECONDS = 3, 30.0


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


class _Turns:
    """Threads of this worker that ask the provider."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._asking, self._silent_until = 0, float("-inf")

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Let the block ask, for a limited time; refuse at once where as many do as may."""
        with self._guard:
            is_silent = time.monotonic() < self._silent_until
            if self._asking >= (1 if is_silent else _AT_ONCE):
                raise OidcError("provider_away" if is_silent else "provider_busy")
            self._asking += 1
        try:
            with exchange(TOTAL_SECONDS), self._heard():
                yield
        finally:
            with self._guard:
                self._asking -= 1

    @contextmanager
    def _heard(self) -> Iterator[None]:
        """Remember that the provider was silent, or no longer is."""
        try:
            yield
        except (requests.Timeout, requests.ConnectionError) as error:
            self._silent_until = time.monotonic() + _SILENT_SECONDS
            raise OidcError("provider_away", type(error).__name__) from error
        else:
            self._silent_until = float("-inf")


asking_provider = _Turns().taken


def read_provider() -> Provider:
    """Return the provider that OIDC_ISSUER names; ask it where that is not remembered."""
    found = _remembered()
    if found is None:
        with asking_provider():
            found = find_provider()
    return found


def find_provider() -> Provider:
    """Return the provider that OIDC_ISSUER names. Call while ``asking_provider``."""
    found = _remembered()
    if found is None:
        document = _fetched(settings.OIDC_ISSUER.rstrip("/") + "/.well-known/openid-configuration")
        found = _described(document)
        cache.set(_place(), found, _KEPT_SECONDS)
    return found


def _remembered() -> Provider | None:
    found = cache.get(_place())
    return None if found is None else Provider(*found)


def _place() -> str:
    return f"oidc-provider-{settings.OIDC_ISSUER}"


def find_key(provider: Provider, key_id: str | None, algorithm: str) -> Mapping[str, Any] | None:
    """Return the provider's key of this name; a token of a provider with one key need not name it (section 10.1).

    One that is not among those remembered is asked for: keys change. Call while ``asking_provider``.
    """
    kept = f"oidc-keys-{provider.keys}"
    found = _matching(cache.get(kept) or {}, key_id, algorithm) if key_id is not None else None
    if found is None:
        document = _fetched(provider.keys)
        cache.set(kept, document, _KEPT_SECONDS)
        found = _matching(document, key_id, algorithm)
    return found


def _matching(document: Mapping[str, Any], key_id: str | None, algorithm: str) -> Mapping[str, Any] | None:
    keys = document.get("keys", [])
    if key_id is None:
        return keys[0] if len(keys) == 1 else None
    named = [key for key in keys if key.get("kid") == key_id]
    return next((key for key in named if key.get("alg", algorithm) == algorithm), None)


def _fetched(address: str) -> dict[str, Any]:
    try:
        answer = ask("GET", address, timeout=TIMEOUT_SECONDS, allow_redirects=False)
        answer.raise_for_status()
        return dict(answer.json())
    except (requests.Timeout, requests.ConnectionError):
        raise  # what those who ask next must know
    except (requests.RequestException, ValueError, TypeError) as error:
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
