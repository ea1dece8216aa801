"""The CSV of daily metrics: a line for each experiment_id, date and variant_name with its counts.

UTF-8 with or without a byte-order mark, comma or semicolon, names quoted or not.
"""

import csv
import datetime as dt
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from django.utils.translation import gettext as _

from experiments.exceptions import InvalidError, Issue
from experiments.metrics import COUNT_NAMES, COUNTS, Counts, DailyCounts
from experiments.text import NAME_LENGTH, is_name, parse_date

if TYPE_CHECKING:
    from _csv import Reader

COLUMNS = ("experiment_id", "date", "variant_name", *COUNT_NAMES)
_OPTIONAL = [count.name for count in COUNTS if count.optional]
# With a sign, so that a negative count is reported as negative; no more digits than 64 bits hold.
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
# A spreadsheet runs a cell that begins so as a formula; some trim it first, some accept wide characters.
_FORMULA = re.compile(r"['\"\s]*[=+\-@\uff1d\uff0b\uff0d\uff20]")


class RowIssue(NamedTuple):
    """A problem of one line of the file (the header is line 1)."""

    line: int
    column: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.column}: {self.message}"


class CsvRow(NamedTuple):
    line: int
    experiment: str
    counts: DailyCounts


def template(day: dt.date) -> str:
    """Return the header and two example rows."""
    rows = [COLUMNS, ("1", day, "control", 10000, 700, 630), ("1", day, "variant_a", 10000, 950, 855)]
    return "".join(",".join(map(str, row)) + "\r\n" for row in rows)


def as_cell(name: str) -> str:
    """Write a name as a cell: an apostrophe keeps a spreadsheet from running it as a formula.

    Where the decimal sign is a comma, spreadsheets end a cell at each semicolon, so each part is looked at.
    """
    return ";".join(f"'{part}" if _FORMULA.match(part) else part for part in name.split(";"))


def _as_name(cell: str) -> str:
    """Read a cell of as_cell back; a name with apostrophes of its own keeps those."""
    return ";".join(
        part[1:] if part.startswith("'") and _FORMULA.match(part) else part for part in cell.split(";")
    )


def read_rows(lines: Iterable[str]) -> Iterator[CsvRow | list[RowIssue]]:
    """Yield each line as a row, or as the list of its problems."""
    try:
        reader = _reader(lines)
        header = _header(reader)
        for cells in reader:
            if cells and any(cell.strip() for cell in cells):
                yield _row(reader.line_num, header, cells)
    except csv.Error as error:
        raise InvalidError(
            [
                Issue(
                    "file",
                    "unreadable",
                    _("line %(line)s: %(error)s") % {"line": reader.line_num, "error": error},
                )
            ]
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidError([Issue("file", "not_utf8", _("the file is not UTF-8 text"))]) from error


def _reader(lines: Iterable[str]) -> "Reader":
    """Open a reader; the header alone decides between comma and semicolon."""
    stream = iter(lines)
    first = next(stream, "")
    delimiter = ";" if first.count(";") > first.count(",") else ","
    return csv.reader(_chain(first.removeprefix("\ufeff"), stream), delimiter=delimiter)


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _header(reader: "Reader") -> list[str]:
    header = [name.strip().lower() for name in next(reader, [])]
    missing = [name for name in COLUMNS if name not in header and name not in _OPTIONAL]
    unknown = [name for name in header if name not in COLUMNS]
    if missing or unknown or len(set(header)) < len(header):
        said = (
            _("missing: %(names)s") % {"names": ", ".join(missing)}
            if missing
            else _("not known or twice: %(names)s") % {"names": ", ".join(unknown or header)[:200]}
        )
        message = _("the first line must name the columns %(names)s; %(said)s")
        message %= {"names": ", ".join(COLUMNS), "said": said}
        raise InvalidError([Issue("file", "wrong_header", message)])
    return header


def _row(line: int, header: list[str], cells: list[str]) -> CsvRow | list[RowIssue]:
    if len(cells) != len(header):
        message = _("has %(cells)s cells, the header has %(columns)s")
        return [RowIssue(line, "file", message % {"cells": len(cells), "columns": len(header)})]
    values = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    values |= {name: values.get(name) or "0" for name in _OPTIONAL}
    values["variant_name"] = _as_name(values["variant_name"])
    issues = [RowIssue(line, column, message) for column, message in _cell_issues(values)]
    if issues:
        return issues
    counts = DailyCounts(
        dt.date.fromisoformat(values["date"]),
        values["variant_name"],
        *Counts(*(int(values[name]) for name in COUNT_NAMES)),
    )
    return CsvRow(line, values["experiment_id"], counts)


def _cell_issues(values: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name in ("experiment_id", "variant_name"):
        if not values[name]:
            yield name, _("is empty")
        elif not is_name(values[name]):
            message = _("must be at most %(length)s characters, none of them a control character")
            yield name, message % {"length": NAME_LENGTH}
    if parse_date(values["date"]) is None:
        yield "date", _("%(value)r is not a date such as 2025-08-14") % {"value": values["date"][:40]}
    for name in COUNT_NAMES:
        if not _WHOLE.fullmatch(values[name]):
            yield name, _("%(value)r is not a whole number") % {"value": values[name][:40]}
