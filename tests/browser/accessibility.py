"""Checks that everyone can read and use a page: on a desk and on a telephone, light and dark."""

from collections.abc import Iterator
from itertools import product

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

WIDTHS = (1440, 390)
SCHEMES = ("light", "dark")
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


# The page has its fonts, and a frame with them has been drawn.
_DRAWN = (
    "document.fonts.ready.then(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done))))"
)


def show(page: Page, url: str, width: int, scheme: str) -> None:
    """Open a page with motion off: a colour that fades in has no contrast yet."""
    _lay_out(page, width, scheme)
    page.goto(url)
    page.evaluate(_DRAWN)


def each_width_and_theme(page: Page) -> Iterator[None]:
    """Lay the open page out at each width in each theme; it must fit."""
    for width, scheme in product(WIDTHS, SCHEMES):
        _lay_out(page, width, scheme)
        page.evaluate(_DRAWN)
        expect(page.locator("html")).to_have_attribute("data-bs-theme", scheme)
        assert page.evaluate("document.documentElement.scrollWidth") == width, (page.url, width, scheme)
        yield


def _lay_out(page: Page, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")


def violations(page: Page) -> list[str]:
    """Each violation of WCAG 2.2 AA that axe finds, with the elements concerned."""
    options = {"runOnly": {"type": "tag", "values": WCAG}, "resultTypes": ["violations"]}
    found = Axe().run(page, options=options)
    return [
        f"{v['id']}: {', '.join(node['html'] for node in v['nodes'][:3])}"
        for v in found.response["violations"]
    ]
