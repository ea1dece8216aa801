"""The exchange of a code for claims, and what makes the ID token good (OpenID Connect Core 1.0, section 3.1.3.7).

mozilla-django-oidc exchanges, finds the key and asks for more claims. It compares the nonce alone: issuer, audience,
authorized party and times are checked here, and only signatures by a key of the provider's own count.
"""

from typing import Any

import jwt
import requests
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from requests.auth import HTTPBasicAuth

from bandit_project.administration.login import AccountBackend
from bandit_project.administration.oidc.accounts import account_of
from bandit_project.administration.oidc.exchange import ask
from bandit_project.administration.oidc.provider import (
    TIMEOUT_SECONDS,
    OidcError,
    Provider,
    asking_provider,
    find_key,
    find_provider,
)

# Never "none", and none with a shared secret: a public key would pass for it.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_REQUIRED = ["iss", "sub", "aud", "exp", "iat"]
_LONGEST_SUBJECT = 255
# Seconds by which the two clocks may differ.
_LEEWAY = 60


class OidcBackend(OIDCAuthenticationBackend):  # type: ignore[misc]  # the library has no types
    """Logs in whom a good ID token names."""

    get_user = AccountBackend.get_user

    def __init__(self) -> None:
        """Ask nothing: Django makes one for each request of a session."""

    def get_settings(self, attr: str, *default: Any) -> Any:
        return self._options[attr] if attr in self._options else next(iter(default), None)

    def authenticate(self, request: HttpRequest, nonce: str, code_verifier: str) -> Any:
        """Return the account; refuse for any other reason than a fault of ours."""
        try:
            with asking_provider():
                self._follow(find_provider())
                claims = super().authenticate(request, nonce=nonce, code_verifier=code_verifier)
            return None if claims is None else account_of(claims)
        except requests.RequestException as error:
            # Its text holds the provider's answer.
            raise OidcError("provider_refused", type(error).__name__) from error
        except (
            SuspiciousOperation, jwt.PyJWTError, AttributeError, KeyError, TypeError, ValueError,
        ) as error:  # fmt: skip  # the last four where an answer of the provider has another shape
            raise OidcError("token_refused", f"{type(error).__name__}: {error}"[:200]) from error

    def _follow(self, provider: Provider) -> None:
        self._provider = provider
        self.OIDC_OP_TOKEN_ENDPOINT, self.OIDC_OP_USER_ENDPOINT = provider.token, provider.userinfo
        self.OIDC_RP_CLIENT_ID = settings.OIDC_CLIENT_ID
        self.OIDC_RP_CLIENT_SECRET = settings.OIDC_CLIENT_SECRET
        self._options = {
            "OIDC_AUTHENTICATION_CALLBACK_URL": "oidc_callback",
        }

    def get_token(self, payload: dict[str, str]) -> dict[str, Any]:
        """Exchange the code, as the library does but within the time of the exchange."""
        auth = None
        if self._provider.takes_basic:
            auth = HTTPBasicAuth(payload["client_id"], payload.pop("client_secret"))
        answer = ask("POST", self._provider.token, data=payload, auth=auth, timeout=TIMEOUT_SECONDS)
        self.raise_token_response_error(answer)
        return dict(answer.json())

    def get_userinfo(self, access_token: str, id_token: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Ask for more claims; an answer that is itself a token is not understood."""
        bearer = {"Authorization": f"Bearer {access_token}"}
        answer = ask("GET", self._provider.userinfo, headers=bearer, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        return dict(answer.json())

    def retrieve_matching_jwk(self, token: str) -> jwt.PyJWK:
        head = jwt.get_unverified_header(token)
        key = find_key(self._provider, head.get("kid"), head["alg"])
        if key is None:
            raise SuspiciousOperation("The token is signed with a key that the provider does not publish.")
        return jwt.PyJWK(dict(key))

    def verify_token(self, token: str, **kwargs: Any) -> dict[str, Any]:
        client = settings.OIDC_CLIENT_ID
        claims: dict[str, Any] = jwt.decode(
            token, self.retrieve_matching_jwk(token), algorithms=_ALGORITHMS, issuer=settings.OIDC_ISSUER,
            audience=client, leeway=_LEEWAY, options={"require": _REQUIRED},
        )  # fmt: skip
        if not constant_time_compare(str(claims.get("nonce", "")), kwargs["nonce"]):
            raise SuspiciousOperation("The token is of another log-in.")
        if not 0 < len(claims["sub"]) <= _LONGEST_SUBJECT or not claims["sub"].isprintable():
            raise SuspiciousOperation("The subject cannot be kept.")
        is_for_several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if is_for_several else client) != client:
            raise SuspiciousOperation("The token was issued to another client.")
        return claims

    def get_or_create_user(self, access_token: str, id_token: str, payload: dict[str, Any]) -> Any:
        """Return the claims of the token, with what the provider adds on asking: ``authenticate`` finds the account.

        The token wins.
        """
        if not self.OIDC_OP_USER_ENDPOINT:
            return payload
        more = self.get_userinfo(access_token, id_token, payload)
        if more.get("sub") != payload["sub"]:
            raise OidcError("other_subject")
        return {**more, **payload}
