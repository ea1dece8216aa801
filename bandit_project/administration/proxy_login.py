"""Log-in by a proxy that has already asked who it is: an OpenID Connect or SAML gateway such as oauth2-proxy.

Off unless REMOTE_USER_HEADER names the header that carries the user name. It counts only on connections from
REMOTE_USER_PROXIES, which must overwrite what a visitor sends under that name. With REMOTE_USER_GROUPS_HEADER each
log-in also gives the role of the groups (REMOTE_USER_ROLES), and takes it away where none of them has one.
"""

import ipaddress
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.contrib.auth.backends import RemoteUserBackend
from django.contrib.auth.middleware import RemoteUserMiddleware
from django.http import HttpRequest
from django.utils import timezone

from bandit_project.administration.login import AccountBackend
from bandit_project.administration.users import change_role, remove_role
from bandit_project.models import UserSettings
from experiments.events import log_event
from experiments.exceptions import ConflictError
from experiments.roles import Role

_PAGES = ("/dashboard", "/accounts/", "/admin")
_LONGEST_NAME = 150


class ProxyLogin(RemoteUserMiddleware):
    """Middleware behind the one that knows the session: who the proxy names is logged in, on pages."""

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

    def configure_user(self, request: Any, user: Any, created: bool = True) -> Any:
        if created:
            user.set_unusable_password()
            user.email = user.username if "@" in user.username else ""
            user.save(update_fields=["password", "email"])
            log_event("login.account_made", user=user.username)
        UserSettings.objects.filter(user=user, invited_at__isnull=False).update(invited_at=None)
        if settings.REMOTE_USER_GROUPS_HEADER and not user.is_superuser:
            _follow_groups(user, _role_of_groups(request))
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


def _role_of_groups(request: HttpRequest) -> Role | None:
    """The highest role of the groups that the proxy names, separated by commas."""
    given = str(request.META.get(meta_name(settings.REMOTE_USER_GROUPS_HEADER), ""))
    groups = {group.strip() for group in given.split(",")}
    roles = (Role[role.upper()] for group, role in settings.REMOTE_USER_ROLES.items() if group in groups)
    return max(roles, default=None)


def _follow_groups(user: Any, role: Role | None) -> None:
    with suppress(ConflictError):  # the last administrator stays one
        if role is None:
            remove_role(user_id=user.pk, by=None, now=timezone.now())
        else:
            change_role(user_id=user.pk, role=role, by=None, now=timezone.now())
