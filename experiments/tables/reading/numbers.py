"""Numbers as people and programs write them: 1234, 1,234, 1.234, 1 234, 1234.0.

Which sign separates thousands and which the decimals is decided for a file as a whole. A style is a hypothesis; those
under which every number of the file can be read survive. A cell is read where all of them give one value, else it is
refused with its readings named.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

from django.utils.translation import gettext as _

from experiments.tables.issues import shown

# whole: nobody counts a part of it. attributed: whole here, but exports have parts of it, such as 1.5 conversions.
# decimal: an amount.
Kind = Literal["whole", "attributed", "decimal"]

_LONGEST = 26
# Texts come again and again; more than these are not kept.
MOST_REMEMBERED = 50_000
_SPACE = re.compile(r"[\s\u00a0\u2007\u2009\u202f]")
_NUMBER = re.compile(r"[+\-\u2212]?([0-9][0-9.,' ]*|[.,][0-9]+)")
# As programs write large sums of squares.
_SCIENTIFIC = re.compile(r"[0-9]+(\.[0-9]+)?[eE][+-]?[0-9]{1,2}")
_POINT = re.compile(r"[0-9]+\.[0-9]+")
# An amount with the sign or the code of its currency: R$ 120,50, € 12, US$1,200.50, 12 USD.
_CURRENCY = r"(?:[A-Za-z]{0,3}[$\u00a2-\u00a5\u20a0-\u20c0]|[A-Z]{3})"
_WITH_CURRENCY = re.compile(rf"[+\-\u2212]?({_CURRENCY}) ?{_NUMBER.pattern}|{_NUMBER.pattern} ?({_CURRENCY})")
_FOREIGN = re.compile(r"[^0-9eE.,'’+\-\u2212\s\u00a0\u2007\u2009\u202f]")
_BLANK = frozenset({"", "--", "–", "—"})


class Exact(str):
    """The text of a cell that is a number in its file (Excel, SQL): a point is a decimal point."""

    __slots__ = ()


class Style(NamedTuple):
    thousands: str
    decimal: str


STYLES = (*(Style(t, ".") for t in ", '"), *(Style(t, ",") for t in ". '"))
_PATTERNS = {
    style: re.compile(
        rf"(?:[0-9]{{1,3}}(?:{re.escape(style.thousands)}[0-9]{{3}})+|[0-9]*)(?:{re.escape(style.decimal)}[0-9]+)?"
    )
    for style in STYLES
}
_EXACT = Style(",", ".")
# A column of many cells, each with a line end: whole numbers in plain digits, amounts with a point, amounts of a style.
# A cell can be split in one way only, so going back takes no longer than going on.
_DIGITS = re.compile(r"(?:(?:0|[1-9][0-9]{0,17})\n)*")
_POINTS = re.compile(r"(?:(?:0|[1-9][0-9]*|[0-9]+\.[0-9]+)\n)*")
_COLUMNS = {style: re.compile(rf"(?:(?=[1-9]){pattern.pattern}\n)*") for style, pattern in _PATTERNS.items()}


class NumberError(Exception):
    """A cell that is not read, and why."""


class Cell(NamedTuple):
    """A cell with its line, and the kind of its column."""

    line: int
    text: str
    kind: Kind


def is_blank(cell: str) -> bool:
    """Say whether a cell holds nothing: no character, or the dashes that Google writes for "none"."""
    return cell.strip() in _BLANK


def is_no_number(cell: str) -> bool:
    """Tell, at little cost, of a cell that is not blank if it holds a sign that no number has."""
    return _FOREIGN.search(cell) is not None


@dataclass(frozen=True)
class Numbers:
    """The reader of a file's numbers; ``clash`` are two cells that no one style reads."""

    styles: tuple[Style, ...] = STYLES
    clash: tuple[Cell, Cell] | None = None

    def whole(self, cell: str, kind: Kind = "whole") -> int:
        """Read a whole number, 1000.0 too; raise NumberError, with advice for a fraction."""
        value = self.decimal(cell, kind)
        if value != value.to_integral_value():
            raise NumberError(_fraction_advice(cell, kind))
        return int(value)

    def decimal(self, cell: str, kind: Kind = "decimal") -> Decimal:
        """Read an amount; raise NumberError."""
        if (isinstance(cell, Exact) or self._has_point) and len(cell) <= _LONGEST and _POINT.fullmatch(cell):
            return Decimal(cell)
        if (only := self._only_style) and _is_plain_number(cell, only):
            return _read(cell, only)
        text = normal(cell)
        if kind == "decimal" and _SCIENTIFIC.fullmatch(text):
            return Decimal(text)
        if not _is_number(text):
            raise NumberError(_no_number(cell))
        if _is_cut(text):
            message = _(
                "%(value)s begins with 0: part of a number such as 12,000, cut at its comma? Write 12000, or put the "
                "number in quotes"
            )
            raise NumberError(message % {"value": shown(cell)})
        if text.isascii() and text.isdigit():
            # one value under every style, also where the file's other numbers clash
            return Decimal(text)
        values = {v for style in self._styles(cell) if (v := _value(text, style)) is not None}
        possible = {v for v in values if v == v.to_integral_value()} if kind == "whole" else values
        return self._only(cell, sorted(possible or values, reverse=True))

    def plain_amounts(self, cells: Sequence[str]) -> Sequence[str] | None:
        """Write the amounts of a column as Python does, where each is read so at first sight; None where one is not."""
        kinds = set(map(type, cells))
        if max(map(len, cells)) > _LONGEST:
            return None
        if (kinds == {Exact} or self._has_point) and _all_match(_POINTS, cells):
            return cells
        if Exact in kinds or not (only := self._only_style) or not _all_match(_COLUMNS[only], cells):
            return None
        return "\n".join(cells).replace(only.thousands, "").replace(only.decimal, ".").split("\n")

    @cached_property
    def _has_point(self) -> bool:
        """True where a number with a point alone has one value under every style."""
        return bool(self.styles) and all(style.decimal == "." for style in self.styles)

    @cached_property
    def _only_style(self) -> Style | None:
        return self.styles[0] if len(self.styles) == 1 else None

    def _styles(self, cell: str) -> tuple[Style, ...]:
        return (_EXACT,) if isinstance(cell, Exact) else self.styles

    def _only(self, cell: str, values: list[Decimal]) -> Decimal:
        if not values and self.clash:
            raise NumberError(self._clash_text(cell))
        if not values:
            raise NumberError(_no_number(cell))
        if len(values) > 1:
            message = _("%(value)s can be read as %(one)s or as %(other)s; write %(one)s or %(other)s")
            one, other = (_as_written(v) for v in values[:2])
            raise NumberError(message % {"value": shown(cell), "one": one, "other": other})
        return values[0]

    def _clash_text(self, cell: str) -> str:
        message = _(
            "%(value)s: the file writes numbers in two ways, %(one)s on line %(line)s and %(other)s on line %(later)s; "
            "write all of them as 1234"
        )
        one, other = self.clash or (Cell(0, "", "whole"),) * 2
        names = {"one": shown(one.text), "line": one.line, "other": shown(other.text), "later": other.line}
        return message % {"value": shown(cell), **names}


def in_language(cell: str, thousands: str, decimal: str, kind: Kind = "whole") -> Decimal:
    """Read a number that a person typed, in the language of the page; raise NumberError.

    10.000 is ten thousand where a point separates thousands, and is refused where it separates decimals. An amount
    such as 12.345 is read in the page's language if that writes it so.
    """
    text, own = normal(cell), Style(" " if _SPACE.fullmatch(thousands) else thousands, decimal)
    value = _value(text, own) if _is_number(text) else None
    if kind == "decimal" and value is not None and text == _as_written(value).replace(".", decimal):
        return value
    is_grouped = own.thousands in text and value is not None
    value = Numbers((own,) if is_grouped else STYLES).decimal(cell)
    if kind != "decimal" and value != value.to_integral_value():
        raise NumberError(_fraction_advice(cell, kind))
    return value


def normal(cell: str) -> str:
    return _SPACE.sub(" ", cell.strip()).replace("’", "'")


def _is_number(text: str) -> bool:
    return len(text) <= _LONGEST and _NUMBER.fullmatch(text) is not None


def are_plain_digits(cells: Sequence[str]) -> bool:
    """Tell if all cells are whole numbers in digits alone, the same under every style."""
    return _all_match(_DIGITS, cells)


def _all_match(pattern: re.Pattern[str], cells: Sequence[str]) -> bool:
    text = "\n".join(cells) + "\n"
    # a cell may have line ends of its own
    return pattern.fullmatch(text) is not None and text.count("\n") == len(cells)


def _is_plain_number(cell: str, style: Style) -> bool:
    """Tell at little cost of most numbers that they are ones of this style, whatever the kind of their column."""
    return (
        "0" < cell[:1] <= "9"
        and len(cell) <= _LONGEST
        and not isinstance(cell, Exact)
        and _PATTERNS[style].fullmatch(cell) is not None
    )


def _is_cut(text: str) -> bool:
    return text.isdigit() and len(text) > 1 and text[0] == "0"


@lru_cache(maxsize=2**16)
def _value(text: str, style: Style) -> Decimal | None:
    """Read a number under a style; None where it is none."""
    sign, body = ("-", text[1:]) if text[0] in "-\u2212" else ("", text.removeprefix("+"))
    if not _PATTERNS[style].fullmatch(body):
        return None
    return _read(sign + body, style)


def _read(text: str, style: Style) -> Decimal:
    return Decimal(text.replace(style.thousands, "").replace(style.decimal, "."))


def possible_styles(text: str, kind: Kind) -> frozenset[Style]:
    """Return the styles that read a cell; only what is as short as a number is remembered."""
    return _styles_of_number(text, kind) if _is_number(text) else frozenset()


@lru_cache(maxsize=2**16)
def _styles_of_number(text: str, kind: Kind) -> frozenset[Style]:
    """Return the styles that read it; nobody counts a part of a view or of a click, where it can be read whole."""
    values = dict(_readings(text))
    whole = {style for style, value in values.items() if value == value.to_integral_value()}
    return frozenset(whole if whole and kind == "whole" else values)


def _readings(text: str) -> Iterator[tuple[Style, Decimal]]:
    for style in STYLES:
        if (value := _value(text, style)) is not None:
            yield style, value


def _as_written(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _no_number(cell: str) -> str:
    text = normal(cell)
    if len(text) <= _LONGEST and (found := _WITH_CURRENCY.fullmatch(text)):
        message = _(
            "%(value)s has %(sign)s beside the number; leave it out, in a spreadsheet by a number format without a "
            "currency"
        )
        return message % {"value": shown(cell), "sign": found[1] or found[4]}
    return _("%(value)s is not a number; write it as 1234") % {"value": shown(cell)}


def _fraction_advice(cell: str, kind: Kind) -> str:
    if kind == "attributed":
        message = _(
            "%(value)s is not a whole number: for attributed conversions round the day's sum, or send a value instead"
        )
    else:
        message = _("%(value)s is not a whole number")
    return message % {"value": shown(cell)}
