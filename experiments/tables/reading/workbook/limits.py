"""Limits of a workbook, checked before calamine opens it.

calamine keeps a sheet as a full rectangle of cells in memory, each with a copy of its text, and unpacks whatever a
file holds. So each part is unpacked here first, a piece at a time, and its rows, cells and texts are counted where
calamine would put them: by patterns where a part is written as spreadsheets write it (scan.py), else by a parser.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO
from xml.parsers import expat

from django.utils.translation import gettext as _

from experiments.exceptions import InvalidError
from experiments.tables.reading.bounds import Bounds
from experiments.tables.reading.source import unreadable
from experiments.tables.reading.workbook.scan import Scanned, scan

_MOST_BYTES = 256 * 1024 * 1024
_MOST_CELLS = 10_000_000
# Each is opened by itself. A workbook has a dozen, and one for each sheet, picture and comment.
_MOST_PARTS = 2000
# As much as Excel writes into one cell.
_LONGEST_TEXT = 32_767
# Characters of the texts that cells share, once for each of those cells.
_MOST_TEXT = 512 * 1024 * 1024
_CHUNK = 1 << 20
# No tag, comment or declaration is as long. The parser may read an unfinished one again with each chunk.
_LONGEST_MARKUP = 1 << 22
_SHEET_MARK = b"sheetData"
_PLACE = re.compile(r"\s*([A-Za-z]{1,3})0*([0-9]{1,7})\s*")
_ROW = re.compile(r"\s*0*([0-9]{1,7})\s*")
_DIGITS = "0123456789"
_MOST_DIGITS = 7
_TEXTS = frozenset({"si", "is"})


def refuse_large(file: BinaryIO, bounds: Bounds | None = None) -> None:
    """Raise InvalidError for an archive that is no workbook, or whose content would fill the memory or is beyond the
    ``bounds`` of an upload.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if "xl/workbook.xml" not in archive.namelist():
                raise no_workbook()
            _look_at(archive, bounds)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, ValueError) as error:
        raise no_workbook() from error


def _look_at(archive: zipfile.ZipFile, bounds: Bounds | None) -> None:
    """Look quickly, and once more by the parser where that finds much text: it counts the bytes of tags, too."""
    if all(_extent_of(archive, bounds, is_quick=is_quick).has_much_text for is_quick in (True, False)):
        raise too_large()


def _extent_of(archive: zipfile.ZipFile, bounds: Bounds | None, *, is_quick: bool) -> "_Extent":
    left = bounds.unpacked_bytes if bounds else _MOST_BYTES
    extent = _Extent(bounds.workbook_cells if bounds else _MOST_CELLS)
    if len(archive.infolist()) > _MOST_PARTS:
        raise too_large()
    for part in archive.infolist():
        if part.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise no_workbook()
        is_xml = part.filename.lower().endswith(".xml")
        found = scan(_unpacked(archive, part, left)) if is_quick and is_xml else None
        if found and found.longest <= _LONGEST_TEXT:
            extent.add(found)
            left -= found.length
        else:
            chunks = _unpacked(archive, part, left)
            left -= _count(chunks, extent) if is_xml else _refuse_sheet(chunks)
    return extent


def _unpacked(archive: zipfile.ZipFile, part: zipfile.ZipInfo, left: int) -> Iterator[bytes]:
    with archive.open(part) as unpacked:
        for chunk in iter(partial(unpacked.read, _CHUNK), b""):
            left -= len(chunk)
            if left < 0:
                raise too_large()
            yield chunk


def _refuse_sheet(chunks: Iterator[bytes]) -> int:
    """Refuse a sheet in a part that is not read as XML here; return the part's length."""
    length, tail = 0, b""
    for chunk in chunks:
        if _SHEET_MARK in tail + chunk:
            raise no_workbook()
        length += len(chunk)
        tail = chunk[-len(_SHEET_MARK) :]
    return length


def _count(chunks: Iterator[bytes], extent: "_Extent") -> int:
    """Count the cells of a part, whatever it is: the workbook says which part is a sheet. Return its length."""
    length, parser = 0, extent.parser()
    try:
        for chunk in chunks:
            parser.Parse(chunk)
            length += len(chunk)
            if length - parser.CurrentByteIndex > _LONGEST_MARKUP:
                raise no_workbook()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise no_workbook() from error
    return length


class _Extent:
    """Extent of the sheet that is read, and texts of the workbook so far."""

    def __init__(self, most_cells: int) -> None:
        self._most_cells = most_cells
        self._row = self._column = self._rows = self._columns = self._cells = 0
        self._shared_cells = self._longest = 0
        self._length = 0
        self._columns_of: dict[str, int] = {}

    def parser(self) -> expat.XMLParserType:
        """Build the parser of a part, from whose beginning rows and cells are counted."""
        self._row = self._column = self._rows = self._columns = self._cells = 0
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = None
        # Excel writes none; entities could stand for anything
        self._parser.StartDoctypeDeclHandler = _refuse_doctype
        return self._parser

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2] if ":" in tag else tag
        if name == "c":
            self._add_cell(attributes)
        elif name == "row":
            self._column = 0
            self._row = _number(attributes["r"]) if "r" in attributes else self._row + 1
        elif name in _TEXTS:
            self._length = 0
            self._parser.CharacterDataHandler = self._add_text
            self._parser.EndElementHandler = self._end

    def _add_cell(self, attributes: dict[str, str]) -> None:
        self._cells += 1
        row, self._column = self._row, self._column + 1
        if (place := attributes.get("r")) is not None:
            row, self._column = self._place(place)
        if attributes.get("t") == "s":
            self._shared_cells += 1
        if row > self._rows or self._column > self._columns or self._cells > self._most_cells:
            self._rows, self._columns = max(self._rows, row), max(self._columns, self._column)
            if max(self._rows * self._columns, self._cells) > self._most_cells:
                raise too_large()

    def _place(self, place: str) -> tuple[int, int]:
        letters = place.rstrip(_DIGITS)
        digits = place[len(letters) :]
        if (column := self._columns_of.get(letters)) is not None and 0 < len(digits) <= _MOST_DIGITS:
            return int(digits), column
        if not (found := _PLACE.fullmatch(place)):
            raise no_workbook()
        column = self._columns_of[found[1]] = _column(found[1])
        return int(found[2]), column

    def _add_text(self, text: str) -> None:
        self._length += len(text)
        if self._length > _LONGEST_TEXT:
            raise _long_text()

    def _end(self, tag: str) -> None:
        if tag.rpartition(":")[2] in _TEXTS:
            self._parser.CharacterDataHandler = self._parser.EndElementHandler = None
            self._longest = max(self._longest, self._length)

    def add(self, part: Scanned) -> None:
        """Add a part that needs no parser; raise InvalidError where it has too many cells."""
        if max(part.row * _column(part.column), part.cells) > self._most_cells:
            raise too_large()
        self._shared_cells += part.shared_cells
        self._longest = max(self._longest, part.longest)

    @property
    def has_much_text(self) -> bool:
        """Whether cells might hold more text together than fits, as each has a copy of its own."""
        return self._longest * self._shared_cells > _MOST_TEXT


def _number(text: str) -> int:
    if not (found := _ROW.fullmatch(text)):
        raise no_workbook()
    return int(found[1])


def _column(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = 26 * number + ord(letter) - ord("A") + 1
    return number


def _refuse_doctype(*_declared: object) -> None:
    raise no_workbook()


def no_workbook() -> InvalidError:
    return unreadable("unreadable", _("not a workbook that can be read; save it as .xlsx or as CSV UTF-8"))


def _long_text() -> InvalidError:
    message = _("a cell of the workbook holds more than %(most)s characters; shorten it")
    return unreadable("too_large", message % {"most": _LONGEST_TEXT})


def too_large() -> InvalidError:
    return unreadable("too_large", _("the workbook is too large; save its sheet as CSV UTF-8"))
