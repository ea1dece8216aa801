"""A quick look at a part of a workbook: cells and texts are counted by patterns, faster than by a parser.

It knows only what spreadsheets write. Where a part has anything else, which might be read in another way, it says
nothing, and the part is parsed.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

# A smaller part is parsed in no time.
_SMALL = 1 << 16
# No row and no text of a spreadsheet is as long.
_LONGEST_PIECE = 1 << 22
_ENDS = (b"</row>", b"</si>")
_HEAD = re.compile(
    rb'\s*<\?xml version="1\.0"(?: encoding="[Uu][Tt][Ff]-8")?(?: standalone="[a-z]{2,3}")? ?\?>'
)
# Comments, marked sections, declarations.
_STRANGE = (b"<!", b"<?")
# Names with a prefix.
_PREFIXED = (b":c ", b":c>", b":c/", b":row", b":is", b":si")
_CELL_BEGINS = b"<c"
_ANY_CELL = tuple(b"<c" + following for following in (b" ", b">", b"/", b"\t", b"\n", b"\r"))
_CELL = re.compile(
    rb'<c r="([A-Z]{1,3}[1-9][0-9]{0,6})"(?: s="[0-9]{1,6}")?(?: t="[A-Za-z]{1,9}")?(?: s="[0-9]{1,6}")? ?/?>'
)
_ANY_TEXT = re.compile(rb"<(?:is|si)[\s/>]")
# No text is within another. A beginning without an end is looked at up to the next one, not up to the end of the part:
# a file of nothing else would take hours.
_TEXT = re.compile(rb"<(is|si)>(?:[^<]++|<(?!/?(?:is|si)[\s/>]))*+</\1>")
_SHARED = b't="s"'
_LETTERS, _DIGITS = bytes(range(ord("A"), ord("Z") + 1)), bytes(range(ord("0"), ord("9") + 1))


class Scanned(NamedTuple):
    """Counts of a part: cells, the last row and column of one, cells of shared texts, and the longest text, in bytes
    with its tags.
    """

    length: int = 0
    cells: int = 0
    row: int = 0
    column: str = ""
    shared_cells: int = 0
    longest: int = 0

    def plus(self, other: "Scanned") -> "Scanned":
        return Scanned(
            self.length + other.length,
            self.cells + other.cells,
            max(self.row, other.row),
            max(self.column, other.column, key=_order),
            self.shared_cells + other.shared_cells,
            max(self.longest, other.longest),
        )


def scan(chunks: Iterator[bytes]) -> Scanned | None:
    """Count what a part holds; None where it must be parsed."""
    total, rest = Scanned(), b""
    for chunk in chunks:
        if not total.length and not rest:
            if not (head := _HEAD.match(chunk)):
                return None
            total, chunk = Scanned(head.end()), chunk[head.end() :]
        piece, rest = _whole_rows(rest + chunk)
        if len(rest) > _LONGEST_PIECE or (found := _scan_piece(piece)) is None:
            return None
        total = total.plus(found)
    found = _scan_piece(rest)
    return total.plus(found) if found and total.length > _SMALL else None


def _whole_rows(text: bytes) -> tuple[bytes, bytes]:
    """Cut a text behind its last row, or its last shared text."""
    cut = max(text.rfind(end) + len(end) if end in text else 0 for end in _ENDS)
    return text[:cut], text[cut:]


def _scan_piece(piece: bytes) -> Scanned | None:
    if any(sign in piece for sign in _STRANGE):
        return None
    # a colon is looked for first: most pieces have none
    if b":" in piece and any(sign in piece for sign in _PREFIXED):
        return None
    places = _CELL.findall(piece)
    texts = [found.end() - found.start() for found in _TEXT.finditer(piece)]
    has_others = len(places) != piece.count(_CELL_BEGINS)
    has_other_cells = has_others and len(places) != sum(map(piece.count, _ANY_CELL))
    if has_other_cells or len(texts) != len(_ANY_TEXT.findall(piece)):
        return None
    shared = piece.count(_SHARED)
    return Scanned(len(piece), len(places), *_last_of(places), shared, max(texts, default=0))


def _last_of(places: list[bytes]) -> tuple[int, str]:
    """Return the last row and the last column of places such as B12."""
    if not places:
        return 0, ""
    joined = b",".join(places)
    rows = set(joined.translate(None, _LETTERS).split(b","))
    columns = {name.decode() for name in set(joined.translate(None, _DIGITS).split(b","))}
    return max(map(int, rows)), max(columns, key=_order)


def _order(column: str) -> tuple[int, str]:
    return len(column), column
