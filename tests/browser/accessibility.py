"""Checks that everyone can read and use a page: on a desk and on a telephone, light and dark."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

WIDTHS = (1440, 390)
SCHEMES = ("light", "dark")
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


# The page has its fonts, and a frame with them has been drawn.
_DRAWN = (
    "document.fonts.ready.then(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done))))"
)


def show(page: Page, url: str, width: int, scheme: str) -> None:
    """Open a page with motion off: a colour that fades in has no contrast yet."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    page.goto(url)
    page.evaluate(_DRAWN)


def violations(page: Page) -> list[str]:
    """Each violation of WCAG 2.2 AA that axe finds, with the elements concerned."""
    options = {"runOnly": {"type": "tag", "values": WCAG}, "resultTypes": ["violations"]}
    found = Axe().run(page, options=options)
    return [
        f"{v['id']}: {', '.join(node['html'] for node in v['nodes'][:3])}"
        for v in found.response["violations"]
    ]
