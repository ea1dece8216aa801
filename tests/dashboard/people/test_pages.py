"""The pages of the administration and of one's own account, as requests see them."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.test import Client

from bandit_project.models import AdministrationChange, ApiKey, UserSettings
from dashboard.formatting import format_moment, shown_in
from experiments.roles import Role
from notifications.models import Endpoint
from tests.dashboard.clients import client_of
from tests.factory import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

USERS, KEYS = "/dashboard/administration/users/", "/dashboard/administration/keys/"
CHANNELS, ACCOUNT = "/dashboard/administration/notifications/", "/dashboard/account/"
PASSWORD = "a long password 1"


@pytest.fixture
def admin(settings: Any) -> Client:
    settings.DASHBOARD_LOGIN_REQUIRED = True
    return client_of("admin")


def _text(response: Any) -> str:
    return str(response.content.decode())


def _invite(client: Client, email: str = "ann@example.com") -> str:
    return _text(client.post(USERS, {"email": email, "name": "Ann", "role": "analyst"}))


@pytest.mark.parametrize("role", [role.group for role in Role])
def test_menus__of_each_role__offer_what_it_may(settings: Any, role: str) -> None:
    settings.DASHBOARD_LOGIN_REQUIRED = True

    page = _text(client_of(role).get("/dashboard/"))

    assert (USERS in page) == (role == "admin")
    assert ACCOUNT in page
    assert "/accounts/password_change/" in page


def test_invitation__with_a_mail_server__is_mailed_and_its_link_opens_the_account(admin: Client) -> None:
    page = _invite(admin)

    assert "on its way to ann@example.com" in page
    (sent,) = mail.outbox
    link = re.findall(r"http://testserver(/accounts/invitation/\S+)", str(sent.body))[0]
    assert link not in page
    visitor = Client()
    assert "Your user name is ann@example.com" in _text(visitor.get(link))
    done = visitor.post(link, {"new_password1": PASSWORD, "new_password2": PASSWORD}, follow=True)
    assert "you are logged in" in _text(done)
    assert Client().get(link).status_code == 410
    assert AdministrationChange.objects.get(action="invited").actor == "admin"


def test_invitation__without_a_mail_server__shows_the_link_once_and_mails_nothing(
    admin: Client, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

    response = admin.post(USERS, {"email": "ann@example.com", "name": "", "role": "viewer"})

    link = re.findall(r"http://testserver(/accounts/invitation/[^<\s]+)", _text(response))[0]
    assert response["Cache-Control"] == "no-store"
    assert Client().get(link).status_code == 200
    assert link not in _text(admin.get(USERS))
    again = _text(admin.post(f"{USERS}{User.objects.get(username='ann@example.com').pk}/resend/"))
    assert "/accounts/invitation/" in again
    assert mail.outbox == []


def test_invitation__mail_server_away__shows_the_link(admin: Client, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1

    assert "The email could not be sent." in _invite(admin)


def test_invitation__weak_password__is_refused_and_the_link_still_works(admin: Client) -> None:
    _invite(admin)
    link = re.findall(r"http://testserver(/accounts/invitation/\S+)", str(mail.outbox[0].body))[0]

    refused = Client().post(link, {"new_password1": "12345678", "new_password2": "12345678"})

    assert "too common" in _text(refused)
    assert Client().get(link).status_code == 200


def test_invitation__address_that_is_taken__is_refused_at_its_field(admin: Client) -> None:
    _invite(admin)

    assert "There is an account with this address already." in _invite(admin, "ANN@example.com")


def test_users__role_changed_and_deactivated__is_on_the_page_of_changes(admin: Client) -> None:
    user = User.objects.create_user("ann", password=PASSWORD)
    one = f"{USERS}{user.pk}/"
    session = Client()
    session.force_login(user)

    said = [
        _text(admin.post(f"{one}role/", {"role": "analyst"}, follow=True)),
        _text(admin.post(f"{one}deactivate/", follow=True)),
    ]

    assert "ann has the role Analyst now." in said[0]
    assert "ann can no longer log in." in said[1]
    assert session.get(ACCOUNT).status_code == 302
    changes = _text(admin.get("/dashboard/administration/changes/"))
    assert "Role changed from – to Analyst" in changes
    assert "1 Sep 2025, 12:00 UTC" in changes


@pytest.mark.parametrize("act", ["role/", "deactivate/"])
def test_users__own_account__stays_as_it_is(admin: Client, act: str) -> None:
    own = User.objects.get(username="admin")

    response = admin.post(f"{USERS}{own.pk}/{act}", {"role": "viewer"}, follow=True)

    assert "You cannot change the role of your own account" in _text(response)


@pytest.mark.parametrize("path", ["role/", "deactivate/", "reactivate/", "resend/"])
def test_users__that_do_not_exist__are_named_and_no_error(admin: Client, path: str) -> None:
    assert "There is no such user." in _text(
        admin.post(f"{USERS}404/{path}", {"role": "viewer"}, follow=True)
    )


def test_users__unknown_role__is_refused(admin: Client) -> None:
    user = User.objects.create_user("ann")

    assert "Choose one of the roles." in _text(
        admin.post(f"{USERS}{user.pk}/role/", {"role": "owner"}, follow=True)
    )


def test_key__made__is_shown_once_with_a_call_that_works(admin: Client, settings: Any) -> None:
    settings.API_KEY_REQUIRED = True
    response = admin.post(KEYS, {"name": "shop", "scope": "read", "days": ""})

    page = _text(response)
    secret = re.findall(r'id="secret">([^<]+)<', page)[0]
    assert response["Cache-Control"] == "no-store"
    assert f"Authorization: Api-Key {secret}" in page
    assert "http://testserver/api/v1/experiments/" in page
    assert (
        Client(headers={"Authorization": f"Api-Key {secret}"}).get("/api/v1/experiments/").status_code == 200
    )
    later = _text(admin.get(KEYS))
    assert secret not in later
    key = ApiKey.objects.get()
    assert key.created_by == "admin"
    assert key.hashed_key not in later


def test_key__revoked__opens_nothing(admin: Client, settings: Any) -> None:
    settings.API_KEY_REQUIRED = True
    key, secret = ApiKey.objects.create_key(name="shop", scope="read")

    assert "Revoked shop." in _text(admin.post(f"{KEYS}{key.prefix}/revoke/", follow=True))

    assert Client(headers={"X-API-Key": secret}).get("/api/v1/experiments/").status_code == 401


@pytest.mark.parametrize(
    "fields",
    [{"name": ""}, {"name": "a" * 51}, {"scope": "root"}, {"days": "0"}, {"days": "x"}, {"days": "99999"}],
)
def test_key__with_a_wrong_field__is_refused_at_it(admin: Client, fields: dict[str, str]) -> None:
    response = admin.post(KEYS, {"name": "shop", "scope": "read", "days": "", **fields})

    assert response.status_code == 200
    assert 'aria-invalid="true"' in _text(response)
    assert not ApiKey.objects.exists()


def test_channel__made_and_looked_at_later__shows_no_secret(admin: Client) -> None:
    fields = {
        "name": "ops",
        "channel": "webhook",
        "address": "https://hooks.example.com/T0-token",
        "language": "en",
    }

    made = _text(admin.post(f"{CHANNELS}new/", {**fields, "is_active": "on", "events": ["leader.found"]}))

    endpoint = Endpoint.objects.get()
    assert endpoint.secret in made
    assert (endpoint.events, endpoint.is_active) == (["leader.found"], True)
    one = _text(admin.get(f"{CHANNELS}{endpoint.pk}/"))
    for page in (made, one, _text(admin.get(CHANNELS))):
        assert "T0-token" not in page
        assert "https://hooks.example.com/…" in page
    assert endpoint.secret not in one


def test_channel__new__begins_with_the_language_of_the_page(admin: Client) -> None:
    page = admin.get(f"{CHANNELS}new/", headers={"Accept-Language": "pt-BR"})

    assert '<option value="pt-br" selected>' in _text(page)
    assert '<option value="en" selected>' in _text(admin.get(f"{CHANNELS}new/"))


def test_channels__list__says_how_the_last_delivery_went(admin: Client) -> None:
    endpoint = Endpoint.objects.create(name="ops", channel="slack", address="https://127.0.0.1/x")
    Endpoint.objects.create(name="quiet", channel="slack", address="https://127.0.0.1/x")
    admin.post(f"{CHANNELS}{endpoint.pk}/test/")

    page = _text(admin.get(CHANNELS))

    assert page.index("Failed") < page.index("quiet") < page.index("None yet")


def test_channel__private_address__fails_its_test_in_plain_words(admin: Client) -> None:
    endpoint = Endpoint.objects.create(name="ops", channel="slack", address="https://127.0.0.1/x")

    page = _text(admin.post(f"{CHANNELS}{endpoint.pk}/test/", follow=True))

    assert "The test did not arrive. The address leads into a private network" in page


def test_channel__changed_without_an_address__keeps_it(admin: Client) -> None:
    endpoint = Endpoint.objects.create(name="ops", channel="slack", address="https://hooks.slack.com/x")

    admin.post(
        f"{CHANNELS}{endpoint.pk}/", {"name": "all", "channel": "slack", "address": "", "language": "pt-br"}
    )

    endpoint.refresh_from_db()
    assert (endpoint.name, endpoint.address, endpoint.language) == (
        "all",
        "https://hooks.slack.com/x",
        "pt-br",
    )
    assert not endpoint.is_active


@pytest.mark.parametrize(
    "fields",
    [{"address": "http://example.com/"}, {"address": "https://u:p@example.com/"}, {"address": "file:///etc/passwd"},
     {"address": ""}, {"name": ""}, {"channel": "smoke"}, {"channel": "service", "address": "json://127.0.0.1"},
     {"events": ["nothing"]}, {"language": "xx"}],
)  # fmt: skip
def test_channel__with_a_wrong_field__is_refused_at_it(admin: Client, fields: dict[str, Any]) -> None:
    given = {"name": "ops", "channel": "webhook", "address": "https://hooks.example.com/", "language": "en"}

    response = admin.post(f"{CHANNELS}new/", {**given, **fields})

    assert response.status_code == 200
    assert 'role="alert"' in _text(response)
    assert not Endpoint.objects.exists()


def test_profile__language_theme_and_zone__are_applied_at_once(admin: Client) -> None:
    fields = {"name": "Ann", "email": "ann@example.com", "weekly_summary": "on"}
    chosen = {"language": "pt-br", "theme": "dark", "time_zone": "America/Sao_Paulo"}

    page = _text(admin.post(ACCOUNT, {**fields, **chosen}, follow=True))

    assert 'lang="pt-br"' in page
    assert 'data-theme="dark"' in page
    admin.post(KEYS, {"name": "shop", "scope": "read", "days": ""})
    assert "1 set. 2025, 09:00 UTC-3" in _text(admin.get(KEYS))
    user = User.objects.get()
    assert (user.first_name, user.email) == ("Ann", "ann@example.com")
    assert UserSettings.objects.get().weekly_summary


def test_profile__in_another_zone__leaves_the_days_of_data(admin: Client) -> None:
    """At 12:00 in Greenwich it is already the next day on Kiritimati; "today" is default's."""
    admin.post(ACCOUNT, {"theme": "system", "time_zone": "Pacific/Kiritimati"})

    from experiments.selectors import today

    with shown_in("Pacific/Kiritimati"):
        assert format_moment(NOW) == "2 Sep 2025, 02:00 UTC+14"
        assert today().isoformat() == "2025-09-01"


@pytest.mark.parametrize(
    "fields",
    [{"language": "xx"}, {"theme": "pink"}, {"time_zone": "Mars/Olympus"}, {"email": "x"},
     {"email": "", "weekly_summary": "on"}, {"email": "taken@example.com"}],
)  # fmt: skip
def test_profile__with_a_wrong_field__is_refused_at_it(admin: Client, fields: dict[str, str]) -> None:
    User.objects.create_user("other", "taken@example.com")

    page = _text(admin.post(ACCOUNT, {"name": "", "email": "a@example.com", "theme": "system", **fields}))

    assert 'aria-invalid="true"' in page
    assert not UserSettings.objects.exists()


def test_language_switch__of_someone_logged_in__is_kept_with_the_account(admin: Client) -> None:
    admin.post("/accounts/language/", {"language": "pt-br", "next": "/dashboard/"})

    assert 'lang="pt-br"' in _text(admin.get("/dashboard/"))
    elsewhere = Client()
    elsewhere.force_login(User.objects.get())
    assert 'lang="pt-br"' in _text(elsewhere.get("/dashboard/"))


def test_language_switch__unknown_language__changes_nothing(admin: Client) -> None:
    admin.post("/accounts/language/", {"language": "xx", "next": "/dashboard/"})

    assert not UserSettings.objects.exists()


def test_zone__after_a_request__does_not_stay(admin: Client) -> None:
    admin.post(ACCOUNT, {"theme": "system", "time_zone": "Asia/Tokyo"})
    admin.get("/dashboard/")

    assert format_moment(NOW) == "1 Sep 2025, 12:00 UTC"


def test_administrators_by_group__see_the_pages_without_staff_status(settings: Any) -> None:
    settings.DASHBOARD_LOGIN_REQUIRED = True
    client = client_of("admin")
    assert Group.objects.filter(name="admin", user__username="admin").exists()

    assert [client.get(path).status_code for path in (USERS, KEYS, CHANNELS, f"{CHANNELS}new/")] == [200] * 4
