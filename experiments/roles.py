"""Roles of people: a viewer looks, an analyst changes data and experiments, an admin does everything.

An account without a role may log in and sees nothing until an administrator gives it one.

Their permissions in Django's admin are given to the groups by bandit_project/migrations; a new migration changes them.
"""

from enum import IntEnum
from typing import Any

from django.utils.translation import gettext_lazy as _

from experiments.text import Text


class Role(IntEnum):
    """A role may do everything that the lower ones may; the names are those of the groups."""

    VIEWER = 1
    ANALYST = 2
    ADMIN = 3

    @property
    def group(self) -> str:
        return self.name.lower()

    @property
    def label(self) -> Text:
        return _LABELS[self]


_LABELS = {Role.VIEWER: _("Viewer"), Role.ANALYST: _("Analyst"), Role.ADMIN: _("Administrator")}


def role_of(user: Any) -> Role | None:
    """Return the highest role among the user's groups; None for nobody, and for an account without a role."""
    if user is None or not user.is_authenticated:
        return None
    if user.is_superuser:
        return Role.ADMIN
    names = {group.name for group in user.groups.all()}
    return max((role for role in Role if role.group in names), default=None)
