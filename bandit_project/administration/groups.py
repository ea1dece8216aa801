"""Roles by the groups that another system names at a log-in, and the account that it means by a name."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from bandit_project.administration.users import change_role, remove_role
from bandit_project.models import UserSettings
from experiments.events import log_event
from experiments.exceptions import ConflictError
from experiments.roles import Role


def known_name(name: str) -> str | None:
    """Return the user name of the account that is meant: this one, or the one that differs in case alone.

    None where several do: a guess would open somebody else's account.
    """
    found = User.objects.filter(username__iexact=name).values_list("username", flat=True)
    names = [one for one in found if differs_in_case_alone(one, name)]
    if name in names or not names:
        return name
    return names[0] if len(names) == 1 else None


def differs_in_case_alone(one: str, other: str) -> bool:
    """Tell whether two names are one but for capitals.

    A database may take more for one, and so does Python's casefold: the long s and s, the sign of Kelvin and k, the
    German sharp s and ss. These are names of different people.
    """
    return (one.lower(), one.upper()) == (other.lower(), other.upper())


def highest_role(groups: Iterable[str], roles: Mapping[str, str]) -> Role | None:
    """Return the highest role that one of the groups gives (``roles``: by group), None where none does."""
    named = set(groups)
    return max((Role[role.upper()] for group, role in roles.items() if group in named), default=None)


def follow_groups(user: Any, role: Role | None) -> None:
    """Give the role of the groups, or take a role away. Superusers and the last administrator keep theirs."""
    if user.is_superuser:
        return
    with suppress(ConflictError):  # the last administrator
        if role is None:
            remove_role(user_id=user.pk, by=None, now=timezone.now())
        else:
            change_role(user_id=user.pk, role=role, by=None, now=timezone.now())


def complete_account(user: Any, email: str) -> None:
    """Finish an account that a log-in has just made: no password opens it."""
    user.set_unusable_password()
    user.email = email
    user.save(update_fields=["password", "email"])
    log_event("login.account_made", user=user.username)


def accept_invitation(user: Any) -> None:
    """Note that an invited person has come."""
    UserSettings.objects.filter(user=user, invited_at__isnull=False).update(invited_at=None)
