"""The page that tests use one after another keeps nothing that one of them has set or stored."""

from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.conftest import like_new

pytestmark = pytest.mark.django_db(transaction=True)

_STATE = """async () => (await new Promise((done) => requestAnimationFrame(() => setTimeout(done))), {
  stored: [localStorage.length, sessionStorage.length, window.name],
  looks: [innerWidth, ...["dark", "light"].map((it) => matchMedia(`(prefers-color-scheme: ${it})`).matches)],
  still: matchMedia("(prefers-reduced-motion)").matches,
  print: matchMedia("print").matches,
  clipboard: (await navigator.permissions.query({ name: "clipboard-read" })).state,
  history: history.length,
})"""


def _state(page: Page, url: str) -> tuple[Any, Any]:
    answer = page.goto(url)
    assert answer is not None
    return answer.request.all_headers().get("accept-language"), page.evaluate(_STATE)


def _change_all(page: Page) -> None:
    page.context.add_cookies([{"name": "theme", "value": "dark", "url": "http://provider.invalid"}])
    page.context.grant_permissions(["clipboard-read"])
    page.evaluate("localStorage.a = sessionStorage.a = window.name = 'kept'")
    page.set_extra_http_headers({"Accept-Language": "pt-BR"})
    page.set_viewport_size({"width": 390, "height": 900})
    page.emulate_media(media="print", color_scheme="dark", reduced_motion="reduce")
    page.mouse.move(20, 20)
    page.route("**/*", lambda route: route.abort())
    page.context.new_page()


def test_page__all_changed_by_a_test__is_like_a_new_one_for_the_next(
    profile: BrowserContext, live_server: Any
) -> None:
    url = f"{live_server.url}/accounts/login/"
    fresh = profile.browser.new_page()  # type: ignore[union-attr]  # of a browser that was launched
    heard: list[Any] = []
    with like_new(profile, live_server.url, {"request": lambda request: heard.append(request)}) as page:
        _state(page, url)
        _change_all(page)

    heard.clear()
    with like_new(profile, live_server.url, {}) as page:
        assert _state(page, url) == _state(fresh, url)
        # A new page of a browser without windows is where the mouse is, so that it cannot be the measure of this.
        assert page.evaluate('document.querySelectorAll(":hover").length') == 0
        assert [cookie["name"] for cookie in profile.cookies()] == ["csrftoken"]
    assert heard == []
    assert profile.pages == [page]
    fresh.close()
