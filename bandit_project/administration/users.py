"""Accounts of people: who may log in, and with which role. Each change is recorded.

At least one administrator can always log in, and nobody changes the own role or deactivates the own account.
"""

import datetime as dt
from dataclasses import dataclass

from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bandit_project.administration.audit import Subject, record_change
from bandit_project.administration.invitations import has_expired
from bandit_project.models import UserSettings
from experiments.exceptions import ConflictError, InvalidError, Issue, NotFoundError
from experiments.roles import Role, role_of
from experiments.text import Text, is_name

EMAIL_LENGTH = NAME_LENGTH = 150  # the address is the user name too


@dataclass(frozen=True)
class Account:
    """A user as the list shows one. ``state``: active, invited, expired (the invitation) or inactive."""

    id: int
    username: str
    name: str
    email: str
    role: Role | None
    last_login: dt.datetime | None
    state: str

    @property
    def state_label(self) -> Text:
        return _STATES[self.state]


_STATES: dict[str, Text] = {
    "active": gettext_lazy("Active"),
    "invited": gettext_lazy("Invited"),
    "expired": gettext_lazy("Invitation expired"),
    "inactive": gettext_lazy("Deactivated"),
}


def list_accounts(now: dt.datetime) -> list[Account]:
    """List everyone by user name; two queries."""
    users = User.objects.select_related("preferences").prefetch_related("groups").order_by("username")
    return [_account(user, now) for user in users]


def _account(user: User, now: dt.datetime) -> Account:
    return Account(
        user.pk,
        user.get_username(),
        user.get_full_name(),
        user.email,
        role_of(user),
        user.last_login,
        _state(user, now),
    )


def _state(user: User, now: dt.datetime) -> str:
    if not user.is_active:
        return "inactive"
    invited_at = _invited_at(user)
    if invited_at is None:
        return "active"
    return "expired" if has_expired(invited_at, now) else "invited"


def _invited_at(user: User) -> dt.datetime | None:
    preferences: UserSettings | None = getattr(user, "preferences", None)
    return preferences.invited_at if preferences else None


@transaction.atomic
def invite_user(*, email: str, name: str, role: Role, now: dt.datetime) -> User:
    """Make an account that its owner opens with the link of the invitation."""
    address, name = _new_address(email), name.strip()
    if issues := name_issues(name):
        raise InvalidError(issues)
    user = User(username=address, email=address, first_name=name)
    user.set_unusable_password()
    _insert(user)
    _give(user, role)
    UserSettings.objects.create(user=user, invited_at=now)
    record_change(Subject.USER, address, "invited", now, role=role.group)
    return user


def name_issues(name: str) -> list[Issue]:
    """Find the problem of a person's name that could not be stored or read whole; none is needed."""
    if not name or (is_name(name) and len(name) <= NAME_LENGTH):
        return []
    message = _("Use at most %(most)s visible characters.") % {"most": NAME_LENGTH}
    return [Issue("name", "invalid", message)]


def _insert(user: User) -> None:
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError as error:  # invited at the same moment: a button pressed twice
        raise _taken() from error


def _taken() -> InvalidError:
    return InvalidError([Issue("email", "taken", _("There is an account with this address already."))])


def _new_address(email: str) -> str:
    address = email.strip().lower()
    try:
        validate_email(address)
    except ValidationError as error:
        raise InvalidError([Issue("email", "invalid", _("Enter a valid email address."))]) from error
    if len(address) > EMAIL_LENGTH:
        raise InvalidError([Issue("email", "too_long", _("The address is too long."))])
    if User.objects.filter(Q(email__iexact=address) | Q(username__iexact=address)).exists():
        raise _taken()
    return address


@transaction.atomic
def renew_invitation(*, user_id: int, now: dt.datetime) -> User:
    """Begin the time of an invitation again; the link sent before no longer works."""
    user = _locked(user_id)
    if _invited_at(user) is None or not user.is_active:
        raise ConflictError(_("Only an invitation that is still open can be sent again."))
    UserSettings.objects.filter(user=user).update(invited_at=now)
    record_change(Subject.USER, user.get_username(), "invited_again", now)
    return user


@transaction.atomic
def change_role(*, user_id: int, role: Role, by: int | None, now: dt.datetime) -> User:
    """Give a user another role; administrators get into the admin too."""
    user = _changeable(user_id, by)
    before = role_of(user)
    if before == role:
        return user
    if before is Role.ADMIN:
        _refuse_last(user)
    _give(user, role)
    names = {"before": before.group if before else "", "after": role.group}
    record_change(Subject.USER, user.get_username(), "role_changed", now, **names)
    return user


@transaction.atomic
def remove_role(*, user_id: int, by: int | None, now: dt.datetime) -> User:
    """Leave a user without a role, and so without access to anything."""
    user = _changeable(user_id, by)
    before = role_of(user)
    if before is None:
        return user
    if before is Role.ADMIN:
        _refuse_last(user)
    _give(user, None)
    record_change(Subject.USER, user.get_username(), "role_changed", now, before=before.group, after="")
    return user


@transaction.atomic
def deactivate_user(*, user_id: int, by: int | None, now: dt.datetime) -> User:
    """Close an account; its sessions end at once. API keys that it made stay as they are."""
    user = _changeable(user_id, by)
    if not user.is_active:
        return user
    if role_of(user) is Role.ADMIN:
        _refuse_last(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    record_change(Subject.USER, user.get_username(), "deactivated", now)
    return user


@transaction.atomic
def reactivate_user(*, user_id: int, now: dt.datetime) -> User:
    user = _locked(user_id)
    if not user.is_active:
        User.objects.filter(pk=user.pk).update(is_active=True)
        record_change(Subject.USER, user.get_username(), "reactivated", now)
    return user


def _locked(user_id: int) -> User:
    user = User.objects.select_for_update().filter(pk=user_id).first()
    if user is None:
        raise NotFoundError(_("There is no such user."))
    return user


def _changeable(user_id: int, by: int | None) -> User:
    """Find a user who may be changed by this one."""
    # All administrators are locked, in one order: two who remove each other at once do not both succeed.
    list(_administrators().select_for_update().order_by("pk").values_list("pk"))
    user = _locked(user_id)
    if user.pk == by:
        raise ConflictError(_("You cannot change the role of your own account, or deactivate it."))
    if user.is_superuser and by is not None and not User.objects.filter(pk=by, is_superuser=True).exists():
        raise ConflictError(_("This account is a superuser. Only another superuser may change it."))
    return user


def _administrators() -> QuerySet[User]:
    """Users who can log in as an administrator now; an open invitation is nobody yet."""
    members = User.groups.through.objects.filter(group__name=Role.ADMIN.group).values("user_id")
    found = User.objects.filter(Q(is_superuser=True) | Q(pk__in=members), is_active=True)
    return found.exclude(pk__in=UserSettings.objects.filter(invited_at__isnull=False).values("user_id"))


def _refuse_last(user: User) -> None:
    if not _administrators().exclude(pk=user.pk).exists():
        raise ConflictError(_("This is the last administrator. Make someone else an administrator first."))


def _give(user: User, role: Role | None) -> None:
    """Make this the only role, or take it away. Only administrators are superusers, and they get into the admin."""
    user.groups.remove(*Group.objects.filter(name__in=[other.group for other in Role]))
    if role is not None:
        user.groups.add(Group.objects.get(name=role.group))
    if role is Role.ADMIN:
        user.is_staff = True
    elif user.is_superuser or user.is_staff:
        user.is_staff = user.is_superuser = False
    user.save(update_fields=["is_staff", "is_superuser"])
