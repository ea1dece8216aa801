"""Text that is split at commas, semicolons or tabs."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TextIO

from django.utils.translation import gettext as _

from experiments.exceptions import InvalidError
from experiments.tables.reading.encoding import GUESSED, find_encoding
from experiments.tables.reading.source import FIRST_LINES, Line, OpenBytes, Reading, Table, unreadable

OpenText = Callable[[], TextIO]

DELIMITERS = ",;\t"
# Excel reads and writes a first line that names the delimiter.
_NAMED = re.compile(r"\ufeff?\"?sep=(.)\"?\s*", re.IGNORECASE)
# As much as one cell holds.
_LONGEST_LINE = 131_072
# Lines that one row of headers may take: a cell such as "Cost /\nconv." has a line break inside.
_MOST_JOINED = 10


def text_table(open_bytes: OpenBytes) -> Table:
    """Open a text file of any of the known encodings; raise InvalidError for other bytes."""
    encoding = find_encoding(open_bytes)

    def open_text() -> TextIO:
        return io.TextIOWrapper(open_bytes(), encoding=encoding, newline="")

    return lines_table(open_text, encoding=encoding if encoding in GUESSED else "")


def lines_table(open_text: OpenText, *, encoding: str = "") -> Table:
    """Read text as a table; ``open_text`` opens it from its beginning each time."""
    first = _physical_lines(open_text)
    if named := _NAMED.fullmatch(first[0] if first else ""):
        return Table((Delimited(open_text, named[1], skipped=1),), encoding)
    readings: list[Reading] = [Delimited(open_text, delimiter) for delimiter in DELIMITERS]
    return Table(tuple(readings), encoding)


@dataclass(frozen=True)
class Delimited:
    """Text split at one delimiter, without its first ``skipped`` lines."""

    open_text: OpenText
    delimiter: str
    skipped: int = 0

    def first_lines(self) -> list[Line]:
        lines = [line.removeprefix("\ufeff") for line in _physical_lines(self.open_text)[self.skipped :]]
        found = (self._line_at(lines, place) for place, line in enumerate(lines) if len(line) < _LONGEST_LINE)
        return [(self.skipped + number, cells) for number, cells in found]

    def _line_at(self, lines: Sequence[str], place: int) -> Line:
        """Split the row that begins at this place; its number is that of its last line.

        A quoted cell that does not end well, such as a title with an odd quote, ends with its line.
        """
        joined = _beginning(lines[place : place + _MOST_JOINED])
        reader = csv.reader(joined, delimiter=self.delimiter, strict=True)
        try:
            cells = next(reader)
            return place + reader.line_num, cells
        except csv.Error:
            return place + 1, next(csv.reader(lines[place : place + 1], delimiter=self.delimiter), [])

    def lines_after(self, line: int) -> Iterator[Line]:
        with closing(self.open_text()) as text:
            reader = csv.reader(islice(text, line, None), delimiter=self.delimiter, strict=True)
            before = line
            try:
                for cells in reader:
                    before = line + reader.line_num
                    yield before, cells
            except csv.Error as error:
                raise _broken(before + 1, error) from error
            except UnicodeError as error:
                raise _no_text(line + reader.line_num + 1, text) from error


def _beginning(lines: Sequence[str]) -> Iterator[str]:
    """Yield lines as long as they are no longer together than one may be."""
    left = _LONGEST_LINE
    for line in lines:
        left -= len(line)
        if left < 0:
            break
        yield line


def _physical_lines(open_text: OpenText) -> list[str]:
    with closing(open_text()) as text:
        try:
            return list(islice(_lines(text), FIRST_LINES))
        except UnicodeError as error:
            raise _no_text(1, text) from error


def _lines(text: TextIO) -> Iterator[str]:
    """Yield each line, of a line longer than a cell may be its beginning."""
    piece = text.readline(_LONGEST_LINE)
    while piece:
        line, following = piece, ""
        while len(piece) == _LONGEST_LINE and not piece.endswith("\n"):
            following = text.readline(_LONGEST_LINE)
            if piece.endswith("\r") and following != "\n":
                break
            piece, following = following, ""
        yield line
        piece = following or text.readline(_LONGEST_LINE)


def _no_text(line: int, text: TextIO) -> InvalidError:
    message = _("line %(line)s is not text in %(encoding)s, as the file's first bytes say; save it as UTF-8")
    return unreadable("unreadable", message % {"line": line, "encoding": str(text.encoding).upper()})


def _broken(line: int, error: Exception) -> InvalidError:
    message = _(
        "line %(line)s: a quoted cell that begins here does not end as it must (%(error)s); remove the quote sign, or "
        "write it twice within a quoted cell"
    )
    return unreadable("unreadable", message % {"line": line, "error": error})
