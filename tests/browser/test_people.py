"""Pages of the administration and of one's own account in a real browser; what was typed survives a lost session."""

import datetime as dt
from typing import Any

import pytest
from django.conf import settings as configured
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from playwright.sync_api import Page, expect

from bandit_project.administration.channels import Wanted, create_channel, send_test
from bandit_project.administration.keys import Scope, create_key
from bandit_project.administration.users import invite_user
from bandit_project.models import UserSettings
from experiments.models import DailyMetric, Experiment
from experiments.roles import Role
from notifications.channels.kinds import Channel
from notifications.models import Endpoint
from tests.browser.accessibility import (
    show,
    violations,
    violations_at_each_width,
    violations_in_each_layout,
    violations_of_each,
    violations_of_translation,
)
from tests.factory import NOW, counts, make_experiment, record

pytestmark = pytest.mark.django_db(transaction=True)

_ADMINISTRATION = "/dashboard/administration/"
PAGES = {
    "users": f"{_ADMINISTRATION}users/",
    "keys": f"{_ADMINISTRATION}keys/",
    "channels": f"{_ADMINISTRATION}notifications/",
    "new channel": f"{_ADMINISTRATION}notifications/new/",
    "channel": f"{_ADMINISTRATION}notifications/{{channel}}/",
    "changes": f"{_ADMINISTRATION}changes/",
    "profile": "/dashboard/account/",
    "change password": "/accounts/password_change/",
}
_LONG = "A name so long that it has to wrap on every telephone without pushing anything off the pag"
_PASSWORD = "a long password 1"


@pytest.fixture
def world(transactional_db: None) -> Endpoint:
    """Make people, keys and channels, with long names and of every state."""
    User.objects.create_user("gone", is_active=False)
    invite_user(email=f"{'a' * 60}@department.example.com", name=_LONG, role=Role.ANALYST, now=NOW)
    create_key(name=_LONG[:50], scope=Scope.ADMIN, days=30, now=NOW)
    chat = Wanted(
        _LONG, Channel.SLACK, "https://hooks.slack.com/services/T/B/x", tags="shop web", language="pt-br"
    )
    create_channel(wanted=chat, now=NOW)
    wanted = Wanted("ops", Channel.WEBHOOK, f"https://{'a' * 60}.invalid/")
    endpoint = create_channel(wanted=wanted, now=NOW)
    send_test(channel_id=endpoint.pk, now=NOW)
    return endpoint


def _log_in(page: Page, live_server: Any, **chosen: str) -> User:
    user = User.objects.create_superuser("op", "op@example.com", _PASSWORD)
    UserSettings.objects.create(user=user, **chosen)
    client = Client()
    client.force_login(user)
    cookie = client.cookies[configured.SESSION_COOKIE_NAME].value
    page.context.add_cookies(
        [{"name": configured.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}]
    )
    return user


@pytest.mark.parametrize("language", ["en", "pt-br"])
def test_pages__each_width_theme_and_language__fit_and_are_accessible(
    clean_page: Page, live_server: Any, world: Endpoint, language: str
) -> None:
    _log_in(clean_page, live_server, language=language)
    pages = {name: live_server.url + path.format(channel=world.pk) for name, path in PAGES.items()}

    def check(page: Page) -> list[str]:
        expect(page.locator("html")).to_have_attribute("lang", language)
        return (violations_in_each_layout if language == "en" else violations_of_translation)(page)

    assert violations_of_each(clean_page, pages, check) == {}


def test_key__made__is_shown_with_buttons_that_copy(
    clean_page: Page, live_server: Any, world: Endpoint
) -> None:
    clean_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    _log_in(clean_page, live_server)
    clean_page.goto(f"{live_server.url}{PAGES['keys']}")

    clean_page.locator("#id_name").fill("shop")
    clean_page.get_by_role("button", name="Create key").click()
    clean_page.get_by_role("button", name="Copy", exact=True).first.click()

    expect(clean_page.get_by_role("button", name="Copied")).to_be_visible()
    secret = clean_page.locator("#secret").text_content()
    assert clean_page.evaluate("navigator.clipboard.readText()") == secret
    assert violations(clean_page) == []


def test_menu__by_the_keyboard__opens_and_leads(clean_page: Page, live_server: Any, world: Endpoint) -> None:
    _log_in(clean_page, live_server)
    clean_page.goto(f"{live_server.url}/dashboard/")

    clean_page.locator("summary", has_text="Administration").press("Enter")
    expect(clean_page.get_by_role("link", name="API keys")).to_be_visible()
    assert violations(clean_page) == []
    clean_page.get_by_role("link", name="API keys").press("Enter")

    expect(clean_page).to_have_url(f"{live_server.url}{PAGES['keys']}")


def test_revoke__asks_first(clean_page: Page, live_server: Any, world: Endpoint) -> None:
    _log_in(clean_page, live_server)
    clean_page.goto(f"{live_server.url}{PAGES['keys']}")

    clean_page.get_by_role("button", name="Revoke").first.click()
    expect(clean_page.get_by_role("dialog")).to_be_visible()
    clean_page.get_by_role("dialog").get_by_role("button", name="Revoke").click()

    expect(clean_page.get_by_text("Calls with this key are refused.", exact=False).first).to_be_visible()


def test_theme__of_the_account__wins_until_it_is_switched_here(clean_page: Page, live_server: Any) -> None:
    user = _log_in(clean_page, live_server, theme="dark")
    html = clean_page.locator("html")

    clean_page.goto(f"{live_server.url}/dashboard/")
    expect(html).to_have_attribute("data-bs-theme", "dark")
    clean_page.locator("[data-theme-switch]").click()
    expect(html).to_have_attribute("data-bs-theme", "light")
    clean_page.reload()
    expect(html).to_have_attribute("data-bs-theme", "light")

    # chosen in the profile since: the choice made here is over
    UserSettings.objects.filter(user=user).update(theme="system")
    clean_page.emulate_media(color_scheme="dark")
    clean_page.reload()
    expect(html).to_have_attribute("data-bs-theme", "dark")


@pytest.fixture
def running(transactional_db: None, today: dt.date) -> Experiment:
    experiment = make_experiment()
    record(experiment, counts("control", 10000, 700, date=today), today=today)
    record(experiment, counts("variant_b", 10000, 950, date=today), today=today)
    return experiment


def _edit_a_day(page: Page, live_server: Any) -> None:
    """Open the day's form in place and type, without saving."""
    page.goto(f"{live_server.url}/dashboard/experiments/button-colour/data/")
    page.get_by_role("link", name="Edit").click()
    page.locator("[data-count]").first.fill("12345")


def test_day__session_over_while_typing__comes_back_after_the_login_with_what_was_typed(
    clean_page: Page, live_server: Any, running: Experiment, settings: Any
) -> None:
    settings.DASHBOARD_LOGIN_REQUIRED = True
    _log_in(clean_page, live_server)
    _edit_a_day(clean_page, live_server)
    Session.objects.all().delete()

    clean_page.get_by_role("button", name="Save").click()
    clean_page.get_by_label("Username").fill("op")
    clean_page.get_by_label("Password").fill(_PASSWORD)
    clean_page.get_by_role("button", name="Log in").click()

    expect(clean_page.get_by_text("Your input from before is filled in again.")).to_be_visible()
    expect(clean_page.locator("[data-count]").first).to_have_value("12345")
    assert violations(clean_page) == []
    clean_page.get_by_role("button", name="Save").click()
    expect(clean_page.get_by_text("12,345").first).to_be_visible()
    assert DailyMetric.objects.filter(impressions=12345).exists()


def test_day__cookies_gone_while_typing__keeps_what_was_typed(
    page_with_refusals: Page, live_server: Any, running: Experiment
) -> None:
    page = page_with_refusals
    _edit_a_day(page, live_server)
    page.context.clear_cookies()

    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your session expired.")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("link", name="Back to the form").click()

    expect(page.locator("[data-count]").first).to_have_value("12345")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("12,345").first).to_be_visible()


def test_day__saved__leaves_nothing_behind(clean_page: Page, live_server: Any, running: Experiment) -> None:
    _edit_a_day(clean_page, live_server)
    clean_page.get_by_role("button", name="Save").click()
    expect(clean_page.get_by_text("12,345").first).to_be_visible()
    # what was typed goes once the whole page is here; the number may be seen before
    clean_page.wait_for_load_state()

    assert clean_page.evaluate("Object.keys(sessionStorage)") == []


def test_day__page_that_says_it_is_lost_left_before_its_scripts__keeps_what_was_typed(
    page_with_refusals: Page, live_server: Any, running: Experiment
) -> None:
    page = page_with_refusals
    _edit_a_day(page, live_server)
    page.context.clear_cookies()
    page.route("**/js/page.js", lambda route: None, times=1)

    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your session expired.")).to_be_visible()
    page.get_by_role("link", name="Back to the form").click()

    expect(page.locator("[data-count]").first).to_have_value("12345")


def test_invitation__link__leads_to_the_experiments(
    clean_page: Page, live_server: Any, world: Endpoint, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    _log_in(clean_page, live_server)
    clean_page.goto(f"{live_server.url}{PAGES['users']}")
    clean_page.get_by_role("button", name="Invite again").click()
    link = str(clean_page.locator("#invitation-link").text_content())
    clean_page.context.clear_cookies()

    show(clean_page, link, 390, "light")
    assert violations_at_each_width(clean_page) == []
    for name in ("new_password1", "new_password2"):
        clean_page.locator(f"[name={name}]").fill(_PASSWORD)
    clean_page.get_by_role("button", name="Set the password and log in").click()

    expect(clean_page).to_have_url(f"{live_server.url}/dashboard/")
