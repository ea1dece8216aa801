"""API keys: made once, shown once, revoked for good."""

import datetime as dt

import pytest

from bandit_project.administration.audit import recent_changes
from bandit_project.administration.keys import create_key, list_keys, revoke_key
from bandit_project.models import AdministrationChange, ApiKey, Scope
from experiments.exceptions import InvalidError, NotFoundError
from tests.factory import NOW

pytestmark = pytest.mark.django_db


def _make(name: str = "shop", days: int | None = None) -> tuple[ApiKey, str]:
    return create_key(name=name, scope=Scope.WRITE, days=days, now=NOW)


def test_create__with_days__opens_until_then_and_stores_a_digest() -> None:
    key, secret = _make(days=30)

    stored = ApiKey.objects.get()
    assert (stored.name, stored.scope, stored.expiry_date) == ("shop", "write", NOW + dt.timedelta(days=30))
    assert stored.is_valid(secret)
    assert secret not in str(vars(stored))
    assert secret.startswith(f"{key.prefix}.")


@pytest.mark.parametrize(
    ("name", "days", "field"),
    [("", None, "name"), (" ", None, "name"), ("a" * 51, None, "name"), ("a\u202eb", None, "name"),
     ("shop", 0, "days"), ("shop", 18_263, "days")],
)  # fmt: skip
def test_create__bad_name_or_days__names_the_field_and_makes_nothing(
    name: str, days: int | None, field: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        _make(name, days)

    assert [issue.field for issue in refused.value.issues] == [field]
    assert not ApiKey.objects.exists()


def test_revoke__twice__is_one_change() -> None:
    key, _secret = _make()

    revoke_key(prefix=key.prefix, now=NOW)
    revoke_key(prefix=key.prefix, now=NOW)

    assert ApiKey.objects.get().revoked
    assert [change.sentence for change in recent_changes()] == [
        "Revoked",
        "Created with the scope Read and write",
    ]


def test_revoke__unknown_key__is_named() -> None:
    with pytest.raises(NotFoundError):
        revoke_key(prefix="nothing", now=NOW)


def test_changes__of_keys__hold_no_secret() -> None:
    key, secret = _make()

    assert secret.partition(".")[2] not in str(list(AdministrationChange.objects.values()))
    assert key.hashed_key not in str(list(AdministrationChange.objects.values()))


def test_list__revoked__come_last() -> None:
    revoked, _ = _make("old")
    revoke_key(prefix=revoked.prefix, now=NOW)
    _make("new")

    assert [key.name for key in list_keys()] == ["new", "old"]
