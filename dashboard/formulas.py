"""Formulas of a document as MathML, which browsers typeset by themselves: no script, no font from elsewhere.

A document writes TeX as GitHub reads it: a paragraph of its own fenced by ```math and ```, or $`...`$ within a line.
What cannot be converted into the elements and attributes below is shown as it is written.
"""

import html
import re
from xml.etree.ElementTree import Element, SubElement

from latex2mathml import exceptions
from latex2mathml.converter import convert_to_element
from markdown import Markdown
from markdown.blockprocessors import BlockProcessor
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from markdown.util import AtomicString

# Presentation alone: the converter also knows links and styles, which a page must not get from a document.
_TAGS = {
    "math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "msub", "msup", "msubsup",
    "munder", "mover", "munderover", "mtable", "mtr", "mtd",
}  # fmt: skip
_ATTRIBUTES = {"accent", "columnalign", "display", "fence", "form", "mathvariant", "stretchy", "width"}
_ERRORS: tuple[type[Exception], ...] = tuple(
    error for error in vars(exceptions).values() if isinstance(error, type) and issubclass(error, Exception)
)

# Limits stand below and above these signs where there is room; browsers know where.
_WITH_LIMITS = ("\N{N-ARY SUMMATION}", "\N{N-ARY PRODUCT}")
_LIMITS = {"msub": "munder", "msup": "mover", "msubsup": "munderover"}

# Before the paragraphs and the inline code, which would take a formula for their own.
_BEFORE_PARAGRAPHS = 85
_BEFORE_INLINE_CODE = 195


class Formulas(Extension):
    """Python-Markdown's extension."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  # Markdown's own name
        md.parser.blockprocessors.register(_Displayed(md.parser), "displayed_formula", _BEFORE_PARAGRAPHS)
        md.inlinePatterns.register(_InLine(r"\$`([^`]+)`\$", md), "formula_in_line", _BEFORE_INLINE_CODE)


class _Displayed(BlockProcessor):
    """A fenced paragraph. A formula wider than a phone scrolls in its box."""

    _fenced = re.compile(r"\A```math\n(.+)\n```\s*\Z", re.S)

    def test(self, parent: Element, block: str) -> bool:
        return bool(self._fenced.match(block))

    def run(self, parent: Element, blocks: list[str]) -> None:
        if found := self._fenced.match(blocks.pop(0)):
            box = SubElement(parent, "div", {"class": "formula", "tabindex": "0", "role": "group"})
            box.append(to_mathml(found[1], display="block"))


class _InLine(InlineProcessor):
    # the stubs compare with the method of Pattern, which this one replaced
    def handleMatch(  # type: ignore[override]  # noqa: N802  # Markdown's own name
        self, m: re.Match[str], data: str
    ) -> tuple[Element, int, int]:
        return to_mathml(m[1], display="inline"), m.start(0), m.end(0)


def to_mathml(tex: str, *, display: str) -> Element:
    """Convert a formula; TeX that is wrong, or asks for more than presentation, stays as it is, as code."""
    try:
        formula = convert_to_element(tex, display=display)
    except _ERRORS:
        return _as_written(tex)
    formula.attrib.pop("xmlns", None)
    if not all(_is_presentation(element) for element in formula.iter()):
        return _as_written(tex)
    for element in formula.iter():
        # the converter writes symbols as character references; atomic text is no Markdown
        element.text = AtomicString(html.unescape(element.text or ""))
        if element.tag in _LIMITS and html.unescape(element[0].text or "") in _WITH_LIMITS:
            element.tag = _LIMITS[element.tag]
    return formula


def _is_presentation(element: Element) -> bool:
    """False where a command was not known as well: it is left in the text."""
    return element.tag in _TAGS and element.attrib.keys() <= _ATTRIBUTES and "\\" not in (element.text or "")


def _as_written(tex: str) -> Element:
    code = Element("code")
    code.text = AtomicString(tex)
    return code
