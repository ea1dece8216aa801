"""What every page must be: readable and usable by everyone, on a desk and on a telephone, light and dark."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

WIDTHS = (1440, 390)
SCHEMES = ("light", "dark")
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def show(page: Page, url: str, width: int, scheme: str) -> None:
    """Motion is off: a colour that is being faded in has no contrast yet."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    page.goto(url, wait_until="networkidle")


def violations(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 AA, each with the places where."""
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
    return [
        f"{v['id']}: {', '.join(node['html'] for node in v['nodes'][:3])}"
        for v in found.response["violations"]
    ]
