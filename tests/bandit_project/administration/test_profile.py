"""Settings that people make for themselves."""

import pytest
from django.contrib.auth.models import User

from bandit_project.administration.profile import Preferences, change_profile
from experiments.exceptions import InvalidError

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "other", [{"username": "ann", "email": "Ann@example.com"}, {"username": "Ann@example.com"}]
)
def test_address__that_another_account_has_or_is_named_by__is_refused(other: dict[str, str]) -> None:
    eve = User.objects.create_user("eve")
    User.objects.create_user(**other)

    with pytest.raises(InvalidError, match="account with this address"):
        change_profile(user=eve, name="Eve", email="ann@example.com", preferences=Preferences())

    assert not User.objects.get(username="eve").email


def test_address__that_names_the_own_account__is_taken() -> None:
    ann = User.objects.create_user("ann@example.com")

    change_profile(user=ann, name="Ann", email="ann@example.com", preferences=Preferences())

    assert User.objects.get().email == "ann@example.com"


@pytest.mark.parametrize("name", ["Ann\nBcc: eve", "\u200b", "x" * 151])
def test_name__that_an_invitation_may_not_have__is_refused(name: str) -> None:
    ann = User.objects.create_user("ann")

    with pytest.raises(InvalidError, match="Use at most 150 visible characters"):
        change_profile(user=ann, name=name, email="", preferences=Preferences())

    assert not User.objects.get().first_name
