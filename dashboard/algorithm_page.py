"""The algorithm's page: the installation's settings, and docs/how-it-decides.md as HTML."""

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, SubElement

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.views.decorators.http import require_safe
from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

from dashboard.access import requires
from dashboard.formulas import Formulas
from dashboard.settings.labels import format_range, format_value, in_environment
from experiments.roles import Role
from experiments.settings_schema import SETTINGS_ON_PAGES, AlgorithmSetting

_PAGE = "how-it-decides"


class Chapter(NamedTuple):
    """A document as a page shows it. ``language``: the one it is written in, which need not be the reader's."""

    html: SafeString
    contents: list[dict[str, Any]]
    language: str


@require_safe
@requires(Role.VIEWER)
def algorithm(request: HttpRequest) -> HttpResponse:
    context = {"section": "algorithm", "settings": setting_rows(), "chapter": how_it_decides()}
    return render(request, "dashboard/algorithm.html", context)


def setting_rows() -> list[dict[str, Any]]:
    """List the settings in the order of the forms."""
    return [_setting_row(setting) for setting in SETTINGS_ON_PAGES]


def _setting_row(setting: AlgorithmSetting) -> dict[str, Any]:
    name, value = setting.name, django_settings.ALGORITHM_DEFAULTS[setting.name]
    return {
        "name": name,
        "label": setting.label,
        "help": setting.details,
        "variable": f"{setting.variable}={in_environment(value)}",
        "range": format_range(setting),
        "default": format_value(name, setting.default),
        "value": format_value(name, value),
        "is_changed": value != setting.default,
    }


def how_it_decides() -> Chapter:
    """Take the document in the reader's language where docs/ has it (how-it-decides.pt-br.md), else in English."""
    language = (get_language() or "en").lower()
    translated = Path(django_settings.BASE_DIR, "docs", f"{_PAGE}.{language}.md")
    if translated.exists():
        return _chapter(translated, language)
    return _chapter(Path(django_settings.BASE_DIR, "docs", f"{_PAGE}.md"), "en")


@cache
def _chapter(path: Path, language: str) -> Chapter:
    """Drop the document's heading: the page has one of its own."""
    text = re.sub(r"\A# .*\n", "", path.read_text(encoding="utf-8"))
    html, contents = to_html(text)
    return Chapter(html, contents, language)


def to_html(text: str) -> tuple[SafeString, list[dict[str, Any]]]:
    """Convert Markdown to HTML with its table of contents, formulas as MathML; HTML in the text is shown as text."""
    markdown: Any = Markdown(
        extensions=["tables", "toc", Formulas(), _Page()], extension_configs={"toc": {"toc_depth": "2-3"}}
    )
    html = markdown.convert(text)
    # what is raw in the text has been escaped: the rest Markdown has made
    return mark_safe(html), markdown.toc_tokens  # noqa: S308


class _Page(Extension):
    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  # Markdown's own name
        md.preprocessors.deregister("html_block")
        md.inlinePatterns.deregister("html")
        # last: after what the other extensions do to the tree
        md.treeprocessors.register(_Dressing(md), "dressing", 1)
        md.treeprocessors.register(_Folding(md), "folding", 0)


class _Dressing(Treeprocessor):
    """Give tables the look of the pages; turn links to other files, which are no pages here, and pictures into text."""

    def run(self, root: Element) -> None:
        for cell in root.iter("th"):
            if not (cell.text or len(cell)):
                cell.tag = "td"  # an empty corner heads nothing
        for parent in list(root.iter()):
            for place, child in enumerate(list(parent)):
                if child.tag == "table":
                    child.set("class", "table table-sm numeric")
                    parent[place] = _scrolling(child)
                elif child.tag == "a" and not child.get("href", "").startswith(("#", "https://")):
                    child.tag = "cite"
                    child.attrib.clear()
                elif child.tag == "img":
                    child.tag, child.text = "cite", child.get("alt", "")
                    child.attrib.clear()


def _scrolling(table: Element) -> Element:
    box = Element("div", {"class": "table-responsive", "tabindex": "0", "role": "group"})
    box.tail, table.tail = table.tail, None
    box.append(table)
    return box


class _Folding(Treeprocessor):
    """Fold each part of the document under its heading; the first, which says it in brief, is open."""

    def run(self, root: Element) -> None:
        into = root
        for child in list(root):
            if child.tag == "h2":
                root.remove(child)
                into = _folded(root, child, is_open=into is root)
            elif into is not root:
                root.remove(child)
                into.append(child)


def _folded(root: Element, heading: Element, *, is_open: bool) -> Element:
    """Add a part to the root and return the element that takes its text."""
    part = SubElement(root, "details", {"open": "open"} if is_open else {})
    SubElement(part, "summary").append(heading)
    # a browser opens the part that holds the target of a link, not one whose heading is the target
    return SubElement(part, "div", {"id": heading.attrib.pop("id")})
