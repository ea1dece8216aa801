"""Users: invited, given roles, deactivated; never without an administrator who can log in."""

import datetime as dt
import threading
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection

from bandit_project.administration.audit import recent_changes
from bandit_project.administration.invitations import (
    INVITATION_DAYS,
    accept_invitation,
    find_invited,
    invitation_token,
)
from bandit_project.administration.users import (
    change_role,
    deactivate_user,
    invite_user,
    list_accounts,
    reactivate_user,
    renew_invitation,
)
from experiments.exceptions import ConflictError, InvalidError, NotFoundError
from experiments.roles import Role, role_of
from tests.factory import NOW

pytestmark = pytest.mark.django_db


def _user(name: str, role: Role | None, **fields: Any) -> User:
    user = User.objects.create_user(name, f"{name}@example.com", "a long password 1", **fields)
    if role:
        user.groups.add(Group.objects.get(name=role.group))
    return user


def _invite(email: str = "ann@example.com", role: Role = Role.ANALYST) -> User:
    return invite_user(email=email, name="Ann", role=role, now=NOW)


def _role(user: User) -> Role | None:
    return role_of(User.objects.get(pk=user.pk))


def _states() -> dict[str, str]:
    return {account.username: account.state for account in list_accounts(NOW)}


def test_role__account_in_no_group__is_none() -> None:
    assert _role(_user("ann", None)) is None


def test_invite__new_address__makes_an_account_that_cannot_log_in_yet() -> None:
    user = _invite(" Ann@Example.com ")

    assert (user.username, user.email, user.first_name) == ("ann@example.com", "ann@example.com", "Ann")
    assert (_role(user), user.is_staff, user.has_usable_password()) == (Role.ANALYST, False, False)
    assert _states() == {"ann@example.com": "invited"}


def test_invite__administrator__gets_into_the_admin_too() -> None:
    assert _invite(role=Role.ADMIN).is_staff


@pytest.mark.parametrize(
    ("email", "code"),
    [("ann@example.com", "taken"), ("ANN@example.com", "taken"), ("ann", "invalid"), ("", "invalid"),
     (f"{'a' * 60}@{'b' * 60}.{'c' * 60}.com", "too_long")],
)  # fmt: skip
def test_invite__address_that_is_taken_or_wrong__names_the_field(email: str, code: str) -> None:
    _user("ann", Role.VIEWER)

    with pytest.raises(InvalidError) as refused:
        _invite(email)

    assert [(issue.field, issue.code) for issue in refused.value.issues] == [("email", code)]


def test_invitation__accepted__sets_the_password_and_works_once() -> None:
    user, password = _invite(), "a long password 1"
    token = invitation_token(user)
    found = find_invited(token, NOW)
    assert found == user

    assert accept_invitation(user=user, password=password, now=NOW)

    assert User.objects.get().check_password(password)
    assert find_invited(token, NOW) is None
    assert not accept_invitation(user=user, password="another password 1", now=NOW)
    assert User.objects.get().check_password(password)
    assert _states() == {"ann@example.com": "active"}


def test_invitation__password_was_set_in_another_way__opens_nothing() -> None:
    user = _invite()
    token = invitation_token(user)
    user.set_password("another long password 1")
    user.save()

    assert find_invited(token, NOW) is None


def test_invitation__after_its_days__has_expired() -> None:
    token = invitation_token(_invite())
    days = dt.timedelta(days=INVITATION_DAYS)

    assert find_invited(token, NOW + days) is not None
    assert find_invited(token, NOW + days + dt.timedelta(seconds=1)) is None
    assert [a.state for a in list_accounts(NOW + days + dt.timedelta(seconds=1))] == ["expired"]


def test_invitation__sent_again__replaces_the_link_before() -> None:
    user = _invite()
    before = invitation_token(user)

    renew_invitation(user_id=user.pk, now=NOW + dt.timedelta(days=8))

    assert find_invited(before, NOW) is None
    assert find_invited(invitation_token(user), NOW + dt.timedelta(days=9)) == user


@pytest.mark.parametrize("token", ["", "x", "WzEsICIiXQ:1abc:def", "a" * 500])
def test_invitation__forged__invites_nobody(token: str) -> None:
    _invite()

    assert find_invited(token, NOW) is None


def test_invitation__of_a_deactivated_account__opens_nothing() -> None:
    _user("op", Role.ADMIN)
    user = _invite()
    token = invitation_token(user)

    deactivate_user(user_id=user.pk, by=None, now=NOW)

    assert find_invited(token, NOW) is None
    with pytest.raises(ConflictError, match="still open"):
        renew_invitation(user_id=user.pk, now=NOW)


def test_renew__account_that_is_in_use__is_refused() -> None:
    with pytest.raises(ConflictError, match="still open"):
        renew_invitation(user_id=_user("ann", Role.VIEWER).pk, now=NOW)


@pytest.mark.parametrize("after", list(Role))
@pytest.mark.parametrize("before", [None, *Role])
def test_change_role__each_to_each__is_the_only_role(before: Role | None, after: Role) -> None:
    op, ann = _user("op", Role.ADMIN), _user("ann", before, is_staff=before is Role.ADMIN)

    change_role(user_id=ann.pk, role=after, by=op.pk, now=NOW)

    ann.refresh_from_db()
    assert list(ann.groups.values_list("name", flat=True)) == [after.group]
    assert ann.is_staff == (after is Role.ADMIN)


def test_change_role__own_account__is_refused() -> None:
    _user("other", Role.ADMIN)
    op = _user("op", Role.ADMIN)

    with pytest.raises(ConflictError, match="your own account"):
        change_role(user_id=op.pk, role=Role.VIEWER, by=op.pk, now=NOW)
    with pytest.raises(ConflictError, match="your own account"):
        deactivate_user(user_id=op.pk, by=op.pk, now=NOW)


def test_last_administrator__who_cannot_be_replaced_by_an_invited_one__stays() -> None:
    op = _user("op", Role.ADMIN)
    _invite(role=Role.ADMIN)
    _user("gone", Role.ADMIN, is_active=False)

    with pytest.raises(ConflictError, match="last administrator"):
        change_role(user_id=op.pk, role=Role.VIEWER, by=None, now=NOW)
    with pytest.raises(ConflictError, match="last administrator"):
        deactivate_user(user_id=op.pk, by=None, now=NOW)
    assert (_role(op), User.objects.get(pk=op.pk).is_active) == (Role.ADMIN, True)


def test_superuser__changed_by_an_administrator__is_refused_and_by_another_superuser_is_not() -> None:
    op, root = _user("op", Role.ADMIN), User.objects.create_superuser("root")
    other = User.objects.create_superuser("other")

    with pytest.raises(ConflictError, match="superuser"):
        change_role(user_id=root.pk, role=Role.VIEWER, by=op.pk, now=NOW)

    change_role(user_id=root.pk, role=Role.VIEWER, by=other.pk, now=NOW)
    assert _role(root) is Role.VIEWER


def test_deactivate__and_reactivate__closes_and_opens_the_account() -> None:
    op, ann = _user("op", Role.ADMIN), _user("ann", Role.ANALYST)

    deactivate_user(user_id=ann.pk, by=op.pk, now=NOW)
    assert _states()["ann"] == "inactive"
    reactivate_user(user_id=ann.pk, now=NOW)

    assert _states()["ann"] == "active"
    assert [change.sentence for change in recent_changes()] == ["Reactivated", "Deactivated"]


def test_user__that_does_not_exist__is_named() -> None:
    with pytest.raises(NotFoundError):
        deactivate_user(user_id=404, by=None, now=NOW)


def test_changes__of_users__say_what_and_who() -> None:
    op = _user("op", Role.ADMIN)
    ann = _invite()
    change_role(user_id=ann.pk, role=Role.VIEWER, by=op.pk, now=NOW)

    assert [(change.name, change.sentence) for change in recent_changes()] == [
        ("ann@example.com", "Role changed from Analyst to Viewer"),
        ("ann@example.com", "Invited as Analyst"),
    ]


def test_list__however_many__takes_two_queries(django_assert_num_queries: Any) -> None:
    for number in range(5):
        _user(f"user{number}", Role.VIEWER)

    with django_assert_num_queries(2):
        assert len(list_accounts(NOW)) == 5


def test_migration__people_without_a_role__become_viewers() -> None:
    from importlib import import_module

    from django.apps import apps

    ann, op = _user("ann", None), _user("op", Role.ADMIN)
    root = User.objects.create_superuser("root")

    import_module("bandit_project.migrations.0007_viewers").make_viewers(apps, connection.schema_editor())

    assert (_role(ann), _role(op), root.groups.count()) == (Role.VIEWER, Role.ADMIN, 0)


@pytest.mark.django_db(transaction=True)
def test_two_administrators__who_deactivate_each_other_at_once__leave_one() -> None:
    one, other = User.objects.create_superuser("one"), User.objects.create_superuser("other")
    start, refused = threading.Barrier(2), []

    def deactivate(user: User, by: User) -> None:
        start.wait(30)
        try:
            deactivate_user(user_id=user.pk, by=by.pk, now=NOW)
        except ConflictError as error:
            refused.append(str(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=deactivate, args=pair) for pair in ((one, other), (other, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert User.objects.filter(is_active=True).count() == 1
    assert len(refused) == 1


@pytest.mark.django_db(transaction=True)
def test_invite__same_address_at_once__makes_one_account_and_names_the_field_to_the_other() -> None:
    # a test with its own transactions empties the tables
    Group.objects.get_or_create(name=Role.ANALYST.group)
    start, refused, faults = threading.Barrier(4), [], []

    def invite() -> None:
        start.wait(30)
        try:
            _invite()
        except InvalidError as error:
            refused.append(error.issues[0].code)
        except Exception as error:
            faults.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=invite) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (User.objects.filter(email="ann@example.com").count(), refused, faults) == (1, ["taken"] * 3, [])
