"""Checks that everyone can read and use a page: on a desk and on a telephone, light and dark."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from playwright.sync_api import Page

from tests.browser.axe import run_axe

WIDTHS = (1440, 390)
SCHEMES = ("light", "dark")
# Each width in each theme; between two of them in turn, one thing changes.
_EVERY_LAYOUT = ((390, "light"), (390, "dark"), (1440, "dark"), (1440, "light"))
# Each width, in another theme at each.
_EACH_WIDTH = ((390, "light"), (1440, "dark"))
# The rules of axe about colours that are in WCAG.
_COLOURS = ["color-contrast", "link-in-text-block"]
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# The rules about names, languages and sizes: what can be wrong in a translation of a page that keeps all rules.
_TRANSLATED = [
    "aria-command-name", "aria-dialog-name", "aria-input-field-name", "aria-toggle-field-name", "button-name",
    "document-title", "empty-heading", "frame-title", "html-has-lang", "html-lang-valid", "image-alt",
    "input-button-name", "label", "label-content-name-mismatch", "landmark-unique", "link-name", "role-img-alt",
    "scrollable-region-focusable", "select-name", "summary-name", "svg-img-alt", "target-size", "valid-lang",
]  # fmt: skip


# The layout of a page that has its fonts, with which a frame has been drawn. To ask takes time, however little.
_DRAWN = """async () => {
  await document.fonts.ready;
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const { dataset, scrollWidth } = document.documentElement;
  return {
    width: innerWidth,
    scheme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light",
    still: matchMedia("(prefers-reduced-motion)").matches,
    looks: [dataset.bsTheme, scrollWidth],
  };
}"""


def show(page: Page, url: str, width: int, scheme: str) -> None:
    """Open a page with motion off: a colour that fades in has no contrast yet."""
    _lay_out(page, width, scheme)
    page.goto(url)
    page.evaluate(_DRAWN)


def _each_layout(page: Page, layouts: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Lay the open page out at each width and theme given; it must fit.

    It begins with the layout that the page has: each other one costs as much as to load the page.
    """
    found = page.evaluate(_DRAWN)
    before = (found["width"], found["scheme"]) if found["still"] else None
    first = layouts.index(before) if before in layouts else 0
    for width, scheme in [*layouts[first:], *layouts[:first]]:
        if before != (width, scheme):
            _lay_out(page, width, scheme, before)
            found = page.evaluate(_DRAWN)
            before = (width, scheme)
        assert found["looks"] == [scheme, width], page.url
        yield width, scheme


def _lay_out(page: Page, width: int, scheme: str, before: tuple[int, str] | None = None) -> None:
    """Lay a page out that was ``before``: to set a theme again that it has takes as much as another one."""
    if before is None or before[0] != width:
        page.set_viewport_size({"width": width, "height": 900})
    if before is None or before[1] != scheme:
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")


def violations(page: Page) -> list[str]:
    """Each violation of WCAG 2.2 AA that axe finds, with the elements concerned."""
    return _violations(page, {"type": "tag", "values": WCAG})


def violations_in_each_layout(page: Page) -> list[str]:
    """Check the open page at each width in each theme. Only colours depend on the theme, so all else is checked once
    for each width."""
    found: list[str] = []
    seen: set[int] = set()
    for width, scheme in _each_layout(page, _EVERY_LAYOUT):
        rules = {"type": "rule", "values": _COLOURS} if width in seen else {"type": "tag", "values": WCAG}
        seen.add(width)
        found += [f"{width} {scheme}: {violation}" for violation in _violations(page, rules)]
    return found


def violations_at_each_width(page: Page) -> list[str]:
    """Check the open page at each width, in another theme at each: for other data or words on a page that
    violations_in_each_layout has seen."""
    return [
        f"{width} {scheme}: {violation}"
        for width, scheme in _each_layout(page, _EACH_WIDTH)
        for violation in violations(page)
    ]


def violations_of_translation(page: Page) -> list[str]:
    """Check the open page at each width: for another language of a page that has been checked with all rules."""
    return [
        f"{width} {scheme}: {violation}"
        for width, scheme in _each_layout(page, _EACH_WIDTH)
        for violation in _violations(page, {"type": "rule", "values": _TRANSLATED})
    ]


def violations_of_each(
    page: Page, addresses: Mapping[str, str], check: Callable[[Page], list[str]]
) -> dict[str, list[str]]:
    """Open each address and check it; what was found, by the name of the address.

    One browser's page opens them all: to begin a new one takes twice the work of another address. Each is opened in the
    layout in which the check left the one before.
    """
    found = {}
    _lay_out(page, 390, "light")
    for name, address in addresses.items():
        page.goto(address)
        page.evaluate(_DRAWN)
        found[name] = check(page)
    return {name: wrong for name, wrong in found.items() if wrong}


def _violations(page: Page, rules: dict[str, Any]) -> list[str]:
    return [str(violation) for violation in run_axe(page, rules)]
