"""Runs axe on an open page. The contrast of a text is computed once in a test process for all texts that look alike."""

from typing import Any, NamedTuple

from axe_playwright_python.base import AXE_FILE_NAME, AXE_FILE_PATH, AXE_SCRIPT
from playwright.sync_api import Page

# A folder of static files, for the service that is tested. A browser keeps a file of it compiled from page to page.
STATIC_AXE = ("axe", AXE_FILE_PATH.parent)
_ADDRESS = f"/static/axe/{AXE_FILE_NAME}"

# The looks of the elements with a text, as numbers. Those with one number look alike: at one width, in one theme, they
# and all that they are in have one name, class and style. What lies beside an element may lie below its text, so the
# styles given to that (as to bars) count as well.
_LOOKS = """() => {
  const STYLES = [
    "color", "backgroundColor", "backgroundImage", "opacity", "visibility", "display", "position", "zIndex", "filter",
    "mixBlendMode", "fontSize", "fontWeight", "textShadow", "webkitTextFillColor",
  ];
  const numberOf = (text) => {
    let high = 0xdeadbeef, low = 0x41c6ce57;
    for (let n = 0; n < text.length; n += 1) {
      const code = text.charCodeAt(n);
      high = Math.imul(high ^ code, 2654435761);
      low = Math.imul(low ^ code, 1597334677);
    }
    high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
    low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
    return 4294967296 * (2097151 & low) + (high >>> 0);
  };
  const hasText = (element) => element.matches("input, select, textarea")
    || [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const attribute = (name) => (element) => element.getAttribute(name) ?? "";
  const [classOf, placeOf] = [attribute("class"), attribute("style")];
  const looks = new Map();
  const walk = (element, around) => {
    const style = getComputedStyle(element);
    if (style.display === "none") return;
    const own = STYLES.map((name) => style[name]);
    const children = [...element.children];
    const beside = children.map(placeOf).filter(Boolean).join();
    const look = numberOf([around, element.tagName, classOf(element), placeOf(element), ...own, beside].join("|"));
    if (hasText(element)) looks.set(element, look);
    children.forEach((child) => walk(child, look));
  };
  walk(document.documentElement, `${innerWidth} ${document.documentElement.dataset.bsTheme}`);
  window.looks = looks;
  return ["axe" in window, [...new Set(looks.values())]];
}"""

# Runs the rules; that of contrast on the first and the last text of each look that is not known.
_RUN = """([options, unseen]) => {
  const ends = new Map(unseen.map((look) => [look, new Set()]));
  const visible = { opacityProperty: true, visibilityProperty: true };
  looks.forEach((look, element) => {
    element.removeAttribute("data-unseen");
    if (ends.has(look) && element.checkVisibility(visible)) {
      const [first = element] = ends.get(look);
      ends.set(look, new Set([first, element]));
    }
  });
  for (const elements of ends.values()) elements.forEach((element) => element.toggleAttribute("data-unseen", true));
  return axe.run({ ...options, reporter: "looks" });
}"""

# Loads axe into a page, with rules as axe reports them, and the looks of the texts whose contrast suffices. Axe would
# write down the HTML of each element that it looks at, with all that is in it; only that of wrong ones is read.
_LOAD = """async (address) => {
  if (address) await new Promise((done, fail) => {
    const script = document.createElement("script");
    script.addEventListener("load", () => { script.remove(); done(); });
    script.addEventListener("error", fail);
    script.src = address;
    document.head.append(script);
  });
  axe.configure({ noHtml: true, rules: [{ id: "color-contrast", selector: "[data-unseen]" }] });
  axe.addReporter("looks", (rules, options, done) => {
    const wrong = rules.filter(({ violations }) => violations.length);
    const contrast = rules.find(({ id }) => id === "color-contrast");
    const sourceOf = ({ node }) => axe.utils.getElementSource(node.element);
    done({
      wrong: wrong.map(({ id, violations }) => [id, violations.slice(0, 3).map(sourceOf)]),
      passed: (contrast?.passes ?? []).map(({ node }) => looks.get(node.element)),
    });
  });
}"""

# The looks of texts whose contrast was found to suffice, by this process.
_passed: set[int] = set()


class Violation(NamedTuple):
    """A rule that a page breaks, with the first elements concerned."""

    rule: str
    elements: list[str]

    def __str__(self) -> str:
        return f"{self.rule}: {', '.join(self.elements)}"


def run_axe(page: Page, rules: dict[str, Any]) -> list[Violation]:
    """Find what breaks these rules."""
    loaded, looks = page.evaluate(_LOOKS)
    if not loaded:
        _load_axe(page)
    # Two rules would read the style sheets and media that axe loads beforehand: one is experimental, so it is not among
    # these, and no page has media. Loading them is an eighth of the work.
    options = {"runOnly": rules, "preload": False}
    unseen = set(looks) - _passed
    found = page.evaluate(_RUN, [options, [*unseen]])
    if not found["wrong"]:
        _passed.update(found["passed"])
    return [Violation(rule, elements) for rule, elements in found["wrong"]]


def _load_axe(page: Page) -> None:
    """Load axe from the service, or as a text into a page that is not from there."""
    served = page.url.startswith("http")
    if not served:
        page.evaluate(AXE_SCRIPT)
    page.evaluate(_LOAD, _ADDRESS if served else None)
