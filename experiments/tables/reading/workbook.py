"""Workbooks of Excel (.xlsx): the first sheet, or the one that is named.

calamine keeps a sheet as a full rectangle of cells in memory, and unpacks whatever a file holds. So a workbook is
unpacked here first, within a limit, and its cells are counted.
"""

import datetime as dt
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, BinaryIO

from django.utils.translation import gettext as _
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook

from experiments.exceptions import InvalidError
from experiments.tables.reading.numbers import Exact
from experiments.tables.reading.source import FIRST_LINES, Line, OpenBytes, Table, unreadable

_ZIP = b"PK\x03\x04"
# The beginning of Excel's older .xls, and of a workbook with a password.
_OLE = b"\xd0\xcf\x11\xe0"
_MOST_BYTES = 256 * 1024 * 1024
_MOST_CELLS = 10_000_000
_CHUNK = 1 << 20
_OVERLAP = 64
_PLACE = re.compile(rb"""\br\s*=\s*["']\s*([A-Za-z]{0,4})([0-9]{1,9})""")


def is_workbook(open_bytes: OpenBytes) -> bool:
    """Say whether a file is a workbook or another archive, by its first bytes."""
    with open_bytes() as file:
        return file.read(4) in {_ZIP, _OLE}


def workbook_table(open_bytes: OpenBytes, sheet: str = "") -> Table:
    """Open a sheet; raise InvalidError for what is no workbook, has no such sheet, or is too large."""
    with open_bytes() as file:
        _refuse_other_or_large(file)
        file.seek(0)
        try:
            workbook = CalamineWorkbook.from_filelike(file)
            return Table((Sheet(_chosen(workbook, sheet)),), sheets=tuple(workbook.sheet_names))
        except (CalamineError, OSError, ValueError) as error:
            raise _no_workbook() from error


@dataclass(frozen=True)
class Sheet:
    """A sheet's rows; a cell's text is that of a CSV."""

    sheet: CalamineSheet

    def first_lines(self) -> list[Line]:
        lines = []
        for number, cells in self.lines_after(0):
            if number > FIRST_LINES:
                break
            lines.append((number, cells))
        return lines

    def lines_after(self, line: int) -> Iterator[Line]:
        for number, cells in enumerate(self.sheet.iter_rows(), 1):
            if number > line:
                yield number, [as_text(cell) for cell in cells]


def as_text(value: Any) -> str:
    """Write a cell's value as the text that a CSV would have in its place."""
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return str(value)
        case int():
            return Exact(value)
        case float() | Decimal():
            return _number_text(value)
        case dt.datetime() if value.time() == dt.time():
            return value.date().isoformat()
        case dt.date():
            return value.isoformat()
    return str(value)


def _number_text(value: float | Decimal) -> str:
    exact = Decimal(str(value))
    if not exact.is_finite():
        return str(value)
    return Exact(f"{exact.to_integral_value() if exact == exact.to_integral_value() else exact:f}")


def _chosen(workbook: CalamineWorkbook, name: str) -> CalamineSheet:
    names = workbook.sheet_names
    if name and name not in names:
        message = _("the workbook has no sheet %(name)s; its sheets are %(names)s")
        raise unreadable("no_sheet", message % {"name": f"'{name[:40]}'", "names": ", ".join(names)[:200]})
    if not names:
        raise _no_workbook()
    return workbook.get_sheet_by_name(name or names[0])


def _refuse_other_or_large(file: BinaryIO) -> None:
    if file.read(4) == _OLE:
        raise unreadable(
            "old_workbook", _("an older or protected Excel file; save it as .xlsx without a password")
        )
    try:
        with zipfile.ZipFile(file) as archive:
            if "xl/workbook.xml" not in archive.namelist():
                raise _no_workbook()
            left = _MOST_BYTES
            for part in archive.infolist():
                if part.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                    raise _no_workbook()
                left = _unpacked(archive, part, left)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, ValueError) as error:
        raise _no_workbook() from error


def _unpacked(archive: zipfile.ZipFile, part: zipfile.ZipInfo, left: int) -> int:
    """Unpack a part, and return how many bytes of the limit are left."""
    rows = columns = cells = 0
    tail = b""
    with archive.open(part) as unpacked:
        for chunk in iter(partial(unpacked.read, _CHUNK), b""):
            left -= len(chunk)
            cells += chunk.count(b"<c") + chunk.count(b":c")
            for letters, digits in _PLACE.findall(tail + chunk):
                rows, columns = max(rows, int(digits)), max(columns, _column(letters))
            tail = chunk[-_OVERLAP:]
            # any part may be the sheet: the workbook says which
            if left < 0 or max(rows * columns, cells) > _MOST_CELLS:
                raise _too_large()
    return left


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = 26 * number + letter - ord("A") + 1
    return number


def _no_workbook() -> InvalidError:
    return unreadable("unreadable", _("not a workbook that can be read; save it as .xlsx or as CSV UTF-8"))


def _too_large() -> InvalidError:
    return unreadable("too_large", _("the workbook is too large; save its sheet as CSV UTF-8"))
