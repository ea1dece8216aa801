"""Workbooks of Excel (.xlsx): the first sheet, or the one that is named."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, BinaryIO

from django.utils.translation import gettext as _
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook

from experiments.tables.reading.bounds import Bounds
from experiments.tables.reading.numbers import Exact
from experiments.tables.reading.source import FIRST_LINES, Line, OpenBytes, Table, unreadable
from experiments.tables.reading.workbook.limits import no_workbook, refuse_large

# A decimal number of as many digits comes back from a float as it was; a sum such as 0.1 + 0.2 has more.
_FLOAT_DIGITS = 15
_FLOAT_EXACT = 10**_FLOAT_DIGITS
_ZIP = b"PK\x03\x04"
# The beginning of Excel's older .xls, and of a workbook with a password.
_OLE = b"\xd0\xcf\x11\xe0"


def is_workbook(open_bytes: OpenBytes) -> bool:
    """Say whether a file is a workbook or another archive, by its first bytes."""
    with open_bytes() as file:
        return file.read(4) in {_ZIP, _OLE}


def workbook_table(
    open_bytes: OpenBytes, sheet: str = "", bounds: Bounds | None = None, *, is_known: bool = False
) -> Table:
    """Open a sheet; raise InvalidError for what is no workbook, has no such sheet, or is too large, unless that
    ``is_known`` not to be so.
    """
    with open_bytes() as file:
        _refuse_old(file)
        if not is_known:
            refuse_large(file, bounds)
        file.seek(0)
        with _refusing():
            workbook = CalamineWorkbook.from_filelike(file)
            return Table((Sheet(_chosen(workbook, sheet)),), sheets=tuple(workbook.sheet_names))


def sheet_names(open_bytes: OpenBytes) -> tuple[str, ...]:
    """Name the sheets of a workbook that was opened before; text has none."""
    if not is_workbook(open_bytes):
        return ()
    with open_bytes() as file, _refusing():
        return tuple(CalamineWorkbook.from_filelike(file).sheet_names)


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
        with _refusing():
            for number, cells in enumerate(self.sheet.iter_rows(), 1):
                if number > line:
                    yield number, [cell if type(cell) is str else as_text(cell) for cell in cells]


def as_text(value: Any) -> str:
    """Write a cell's value as the text that a CSV would have in its place."""
    if type(value) is float:  # most cells are
        return _float_text(value)
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return str(value)
        case int():
            return Exact(value)
        case float():
            return _float_text(value)
        case Decimal():
            return _number_text(value)
        # with a time zone it is a moment, which belongs to the day before or after elsewhere
        case dt.datetime() if value.time() == dt.time() and value.tzinfo is None:
            return value.date().isoformat()
        case dt.date():
            return value.isoformat()
    return str(value)


def _float_text(value: float) -> str:
    if 0 < value < _FLOAT_EXACT and value.is_integer():
        return Exact(int(value))
    text = f"{value:.{_FLOAT_DIGITS}g}"
    # neither a power of ten, nor nan or inf
    return _number_text(Decimal(text)) if "e" in text or "n" in text else Exact(text)


def _number_text(exact: Decimal) -> str:
    if not exact.is_finite():
        return str(exact)
    return Exact(f"{exact.to_integral_value() if exact == exact.to_integral_value() else exact:f}")


def _chosen(workbook: CalamineWorkbook, name: str) -> CalamineSheet:
    names = workbook.sheet_names
    if name and name not in names:
        message = _("the workbook has no sheet %(name)s; its sheets are %(names)s")
        raise unreadable("no_sheet", message % {"name": f"'{name[:40]}'", "names": ", ".join(names)[:200]})
    if not names:
        raise no_workbook()
    return workbook.get_sheet_by_name(name or names[0])


def _refuse_old(file: BinaryIO) -> None:
    if file.read(4) == _OLE:
        raise unreadable(
            "old_workbook", _("an older or protected Excel file; save it as .xlsx without a password")
        )
    file.seek(0)


@contextmanager
def _refusing() -> Iterator[None]:
    """Refuse what calamine cannot read; it panics, with an exception that is no Exception, where it runs out of memory
    or finds a fault of its own.
    """
    try:
        yield
    except (CalamineError, OSError, ValueError) as error:
        raise no_workbook() from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise no_workbook() from error
