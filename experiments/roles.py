"""Roles of people: a viewer looks, an analyst changes data and experiments, an admin does everything.

Their permissions in Django's admin are given to the groups by bandit_project/migrations; a new migration changes them.
"""

from enum import IntEnum
from typing import Any


class Role(IntEnum):
    """A role may do everything that the lower ones may; the names are those of the groups."""

    VIEWER = 1
    ANALYST = 2
    ADMIN = 3

    @property
    def group(self) -> str:
        return self.name.lower()


def role_of(user: Any) -> Role | None:
    """Return the highest role among the user's groups, or None without a user; each user is a viewer."""
    if user is None or not user.is_authenticated:
        return None
    if user.is_superuser:
        return Role.ADMIN
    names = set(user.groups.values_list("name", flat=True))
    return max((role for role in Role if role.group in names), default=Role.VIEWER)
