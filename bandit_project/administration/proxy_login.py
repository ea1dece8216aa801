"""Log-in by a proxy that has already asked who it is: an OpenID Connect or SAML gateway such as oauth2-proxy.

Off unless REMOTE_USER_HEADER names the header that carries the user name. It counts only on connections from
REMOTE_USER_PROXIES, which must overwrite what a visitor sends under that name. With REMOTE_USER_GROUPS_HEADER each
log-in also gives the role of the groups (REMOTE_USER_ROLES), and takes it away where none of them has one.
"""

import ipaddress
from typing import Any

from django.conf import settings
from django.contrib.auth.backends import RemoteUserBackend
from django.contrib.auth.middleware import RemoteUserMiddleware
from django.http import HttpRequest

from bandit_project.administration.groups import (
    accept_invitation,
    complete_account,
    differs_in_case_alone,
    follow_groups,
    highest_role,
    known_name,
)
from bandit_project.administration.login import AccountBackend
from experiments.events import log_problem_event

_PAGES = ("/dashboard", "/accounts/", "/admin")
_LONGEST_NAME = 150


class ProxyLogin(RemoteUserMiddleware):
    """Middleware behind the one that knows the session: who the proxy names is logged in, on pages."""

    def clean_username(self, username: str, request: HttpRequest) -> str:
        """Take a name in another case for the one of the session, which goes on unless another account is named so."""
        own = request.user.get_username()
        if own == username or not differs_in_case_alone(own, username):
            return username
        return known_name(username) or username

    def __call__(self, request: HttpRequest) -> Any:
        if settings.REMOTE_USER_HEADER and request.path.startswith(_PAGES):
            name = str(request.META.get(meta_name(settings.REMOTE_USER_HEADER), "")).strip()
            request.META.pop(self.header, None)
            if _is_from_a_proxy(request) and _is_usable(name):
                request.META[self.header] = name
            # Without a name, a session that began with one ends.
            self.process_request(request)
        return self.get_response(request)


class ProxyBackend(RemoteUserBackend):
    """Takes the proxy's word for who it is. An account that is not there yet is made, without a password."""

    get_user = AccountBackend.get_user

    def authenticate(self, request: Any, remote_user: str) -> Any:  # type: ignore[override]  # as Django itself does
        """Refuse a name that may be several accounts'."""
        if known_name(remote_user) is None:
            log_problem_event("login.proxy_refused", reason="several_accounts", detail=remote_user)
            return None
        return super().authenticate(request, remote_user)

    def clean_username(self, username: str) -> str:
        return known_name(username) or username

    def configure_user(self, request: Any, user: Any, created: bool = True) -> Any:
        if created:
            complete_account(user, user.username if "@" in user.username else "")
        accept_invitation(user)
        if settings.REMOTE_USER_GROUPS_HEADER:
            follow_groups(user, highest_role(_groups(request), settings.REMOTE_USER_ROLES))
        return user


def meta_name(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")


def _is_from_a_proxy(request: HttpRequest) -> bool:
    try:
        asking = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False  # A Unix socket has no address.
    return any(asking in network for network in settings.REMOTE_USER_PROXIES)


def _is_usable(name: str) -> bool:
    return 0 < len(name) <= _LONGEST_NAME and name.isprintable()


def _groups(request: HttpRequest) -> list[str]:
    """The groups that the proxy names, separated by commas."""
    given = str(request.META.get(meta_name(settings.REMOTE_USER_GROUPS_HEADER), ""))
    return [group.strip() for group in given.split(",")]
