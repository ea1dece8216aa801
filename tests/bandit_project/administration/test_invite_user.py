"""The command that invites people: for a first administrator, and for scripts."""

import io
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client

from experiments.roles import Role, role_of

pytestmark = pytest.mark.django_db


def _run(*options: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("invite_user", "ann@example.com", *options, stdout=out, stderr=err)
    return out.getvalue().strip(), err.getvalue()


def _path(link: str) -> str:
    return link.removeprefix("https://bandit.example.com")


def test_invite_user__new_address__prints_a_link_that_opens_an_account_of_that_role(client: Client) -> None:
    link, _ = _run("--role", "analyst", "--name", "Ann", "--site", "https://bandit.example.com/")

    password = "a long password 1"
    client.post(_path(link), {"new_password1": password, "new_password2": password})
    ann = User.objects.get()
    assert (ann.username, ann.first_name, role_of(ann)) == ("ann@example.com", "Ann", Role.ANALYST)
    assert ann.check_password(password)


def test_invite_user__no_site__takes_the_first_host_that_is_served(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*", ".example.com", "bandit.example.com"]
    settings.SECURE_SSL_REDIRECT = True

    link, _ = _run()

    assert link.startswith("https://bandit.example.com/accounts/invitation/")


def test_invite_user__no_host_is_named__prints_the_path_and_what_is_missing(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    link, said = _run()

    assert mail.outbox == []
    assert link.startswith("/accounts/invitation/")
    assert "Put the dashboard's address before it." in said
    assert "Put the dashboard's address" not in _run("--again", "--site", "https://bandit.example.com")[1]


def test_invite_user__mail_server__mails_the_link_that_it_prints(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    link, said = _run("--site", "https://bandit.example.com")

    assert (link in mail.outbox[0].body, mail.outbox[0].to) == (True, ["ann@example.com"])
    assert "ann@example.com" in said


def test_invite_user__account_exists__changes_nothing_and_names_again() -> None:
    _run("--role", "viewer")

    with pytest.raises(CommandError, match=r"account with this address already\. --again replaces"):
        _run("--role", "admin")

    assert role_of(User.objects.get()) is Role.VIEWER


def test_invite_user__again__replaces_the_link(client: Client) -> None:
    first, _ = _run("--site", "https://bandit.example.com")
    second, _ = _run("--site", "https://bandit.example.com", "--again")

    assert [client.get(_path(link)).status_code for link in (first, second)] == [410, 200]


def test_invite_user__again_without_an_open_invitation__is_refused() -> None:
    with pytest.raises(CommandError, match="No account has the user name"):
        _run("--again")

    User.objects.create_user("ann@example.com", password="a long password 1")

    with pytest.raises(CommandError, match="still open"):
        _run("--again")


@pytest.mark.parametrize("name", ["Ann\nBcc: eve", "x" * 151])
def test_invite_user__name_that_cannot_be_kept__is_refused_with_the_limit(name: str) -> None:
    with pytest.raises(CommandError, match="Use at most 150 visible characters"):
        call_command("invite_user", "ann@example.com", "--name", name)

    assert not User.objects.exists()
