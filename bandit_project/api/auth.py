"""Authentication, permission and rate limits of the APIs: API keys for programs, sessions for people."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from bandit_project.api.keys import given_key, usable_key
from bandit_project.api.refusals import SEND_KEY
from bandit_project.models import ApiKey, Scope
from experiments.rates import caller_of, shared
from experiments.roles import Role, role_of

if TYPE_CHECKING:
    # DRF's views read the settings that name this module.
    from rest_framework.views import APIView

_KEYWORD = "Api-Key"
_SCOPES = {Role.VIEWER: Scope.READ, Role.ANALYST: Scope.WRITE, Role.ADMIN: Scope.ADMIN}


class ApiKeyAuthentication(BaseAuthentication):
    """Accepts ``Authorization: Api-Key <key>``, ``Authorization: Bearer <key>`` and ``X-API-Key: <key>``.

    A wrong key is refused even where none is required; a blank one is no key.
    """

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ApiKey] | None:
        given = given_key(request.META)
        if not given:
            return None
        key = usable_key(given)
        if key is None:
            raise wrong_key()
        return AnonymousUser(), key

    def authenticate_header(self, request: Request) -> str:
        return _KEYWORD


class HasScope(BasePermission):
    """Requires a read key to read and a write key for everything else, unless the view has ``required_scopes``.

    A key that is sent is held to its scope even where no key is required, so that what works there works everywhere.
    A serve key opens the views that say ``open_to_serve_keys``, and those alone.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        method = request.method or "GET"
        if method == "OPTIONS":
            return True
        if not settings.API_KEY_REQUIRED and not isinstance(request.auth, ApiKey):
            _refuse_forged(request)
            return True
        held, needed = _scope_of(request), required_scope(view, method)
        self.message = _lacking(held, needed)
        if held is Scope.SERVE:
            return getattr(view, "open_to_serve_keys", False)
        return held is not None and held.includes(needed)


class ScopeThrottle(SimpleRateThrottle):
    """Applies THROTTLE_READ and THROTTLE_WRITE to each key; without a key, to each user or address.

    What visitors' software calls counts as reading, whatever its method, and a view with a ``throttled_as`` as that.
    """

    cache = shared

    def __init__(self) -> None:
        self.rate = None  # It depends on the request's method.

    def allow_request(self, request: Request, view: "APIView") -> bool:
        is_read = request.method in SAFE_METHODS or getattr(view, "open_to_serve_keys", False)
        self.scope = getattr(view, "throttled_as", "read" if is_read else "write")
        self.rate = settings.THROTTLE_RATES[self.scope]
        if self.rate is None:
            return True
        self.num_requests, self.duration = self.parse_rate(self.rate)
        return super().allow_request(request, view)

    def get_cache_key(self, request: Request, view: "APIView") -> str:
        if isinstance(request.auth, ApiKey):
            who = f"key-{request.auth.prefix}"
        elif request.user and request.user.pk:
            who = f"user-{request.user.pk}"
        else:
            who = f"address-{caller_of(request)}"
        return f"throttle-{self.scope}-{who}"


def _refuse_forged(request: Request) -> None:
    """Refuse a write that a page of another site sends through its reader's browser. Without a required key it would
    succeed; browsers name the origin."""
    is_foreign = request.headers.get("Sec-Fetch-Site") == "cross-site"
    is_allowed = request.headers.get("Origin") in settings.CORS_ALLOWED_ORIGINS
    if request.method not in SAFE_METHODS and request.auth is None and is_foreign and not is_allowed:
        raise PermissionDenied("A page of another site may not write here. CORS_ALLOWED_ORIGINS allows it.")


def required_scope(view: "APIView", method: str) -> Scope:
    """The scope that a call needs: the view's own in ``required_scopes``, else read or write by the method."""
    own: dict[str, str] = getattr(view, "required_scopes", {})
    return Scope(own.get(method, Scope.READ if method in SAFE_METHODS else Scope.WRITE))


def wrong_key() -> AuthenticationFailed:
    """Build the refusal of a key that does not exist or no longer opens anything."""
    said = f"The API key is wrong, revoked or expired. Make another one on the dashboard. {SEND_KEY}"
    return AuthenticationFailed(said, code="invalid_api_key")


def _lacking(held: Scope | None, needed: Scope) -> str:
    having = f"has the scope {held.value}" if held else "has none"
    return (
        f"This needs the scope {needed.value}; the key or the person's role {having}. Use a key that has it."
    )


def _scope_of(request: Request) -> Scope | None:
    """The scope of the key, or of the person's role."""
    if isinstance(request.auth, ApiKey):
        return Scope(request.auth.scope)
    role = role_of(request.user)
    return None if role is None else _SCOPES[role]
