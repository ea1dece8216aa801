"""Log-in by an OpenID provider in a real browser: from the dashboard's page and from the admin's."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.bandit_project.administration.oidc.provider import Provider, new_key, provider, trust
from tests.browser.accessibility import violations_at_each_width, violations_in_each_layout

pytestmark = pytest.mark.django_db(transaction=True)

# As wide as a name gets that somebody would put on a button.
_NAME = "Example Industries Single Sign-on"


@pytest.fixture
def at(settings: Any) -> Iterator[Provider]:
    """A provider on an origin of its own, at which Ann is logged in."""
    with provider(new_key()) as made:
        made.person = {"sub": "0815", "email": "ann@example.com", "email_verified": True}
        trust(made, settings, _NAME)
        yield made


@pytest.mark.parametrize("page_of", ["/dashboard/limits/", "/admin/experiments/"])
def test_button__pressed__leads_over_the_provider_to_the_page_that_was_asked_for(
    page_with_refusals: Page, live_server: Any, at: Provider, page_of: str
) -> None:
    User.objects.create_superuser("ann@example.com")
    page = page_with_refusals
    page.goto(live_server.url + page_of)

    page.get_by_role("link", name=f"Log in with {_NAME}").click()

    expect(page).to_have_url(live_server.url + page_of)
    assert page.goto(live_server.url + page_of).status == 200  # type: ignore[union-attr]  # not about:blank


def test_login_page__with_the_button__fits_and_is_accessible(
    clean_page: Page, live_server: Any, at: Provider
) -> None:
    clean_page.goto(f"{live_server.url}/accounts/login/?next=/dashboard/")

    assert violations_in_each_layout(clean_page) == []


def test_login_page__after_a_refusal__says_why(
    page_with_refusals: Page, live_server: Any, at: Provider
) -> None:
    at.person["email_verified"] = False
    page = page_with_refusals

    page.goto(f"{live_server.url}/accounts/oidc/")

    expect(page.get_by_text(f"{_NAME} does not say that your email address is verified.")).to_be_visible()
    assert violations_at_each_width(page) == []


def test_admin__with_the_button__fits_a_telephone(clean_page: Page, live_server: Any, at: Provider) -> None:
    clean_page.set_viewport_size({"width": 390, "height": 900})
    clean_page.goto(f"{live_server.url}/admin/login/?next=/admin/")
    form, link = clean_page.locator("#login-form"), clean_page.get_by_role("link", name=_NAME)

    below, above = link.bounding_box(), form.bounding_box()

    assert below is not None
    assert above is not None
    assert below["y"] > above["y"] + above["height"]
    assert clean_page.evaluate("document.documentElement.scrollWidth") == 390
