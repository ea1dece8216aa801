"""The table of daily metrics: a line for each experiment, date and variant with its counts."""

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from django.utils.translation import gettext as _

from experiments.ingestion.validation import EARLIEST_DATE
from experiments.metrics import COUNT_NAMES, MEASURES, DailyCounts, Measure
from experiments.metrics import Kind as KindOfMeasure
from experiments.tables.importing.blocks import in_blocks
from experiments.tables.importing.plain_rows import Column, Meanings, NumberColumn, PlainRows, rows_of_counts
from experiments.tables.importing.row_kinds import UNSAID, BadRow, CsvRow
from experiments.tables.issues import RowIssue, shown
from experiments.tables.reading.dates import DateLearner, DateOrder, Dates, FoundDates
from experiments.tables.reading.header import Columns, Header
from experiments.tables.reading.numbers import (
    MOST_REMEMBERED,
    Kind,
    NumberError,
    Numbers,
    are_plain_digits,
    is_blank,
    is_no_number,
)
from experiments.tables.reading.source import Line
from experiments.tables.reading.styles import StyleLearner
from experiments.tables.reading.total_names import is_total
from experiments.tables.ways_in import ADVICE, Advice
from experiments.text import NAME_LENGTH, is_name

# What a blank cell means in a column that the file has.
Blank = Literal["refuse", "skip", "zero"]

# The numbers of a row, in the order of DailyCounts; every reader of files loops over them.
NUMBERS = MEASURES
NUMBER_NAMES = tuple(number.name for number in NUMBERS)
COLUMNS = ("experiment_id", "date", "variant_name", *NUMBER_NAMES)
TEMPLATE_COLUMNS = ("experiment_id", "date", "variant_name", *COUNT_NAMES)
_OPTIONAL = {number.name: number.name for number in NUMBERS if number.optional}
DAILY = Columns(needed={name: name for name in COLUMNS if name not in _OPTIONAL}, optional=_OPTIONAL)


def _kind(number: Measure) -> Kind:
    """Exports have parts of an optional count, such as 1.5 conversions."""
    if number.kind is not KindOfMeasure.WHOLE:
        return "decimal"
    return "attributed" if number.optional else "whole"


# The value of a single order, in a file that has a line for each.
ORDER_VALUE = "value"
KINDS: Mapping[str, Kind] = {**{number.name: _kind(number) for number in NUMBERS}, ORDER_VALUE: "decimal"}
_TYPES = {number.name: type(number.zero) for number in NUMBERS}
# Counts that a file has no column for are 0; values are not given.
_ABSENT = [number.zero if number.kind is KindOfMeasure.WHOLE else None for number in NUMBERS]
# Those of dates that may be recorded; today sets the end.
_YEARS = range(EARLIEST_DATE.year, dt.MAXYEAR + 1)
# A spreadsheet runs a cell that begins so as a formula; some trim it first, some accept wide characters.
_FORMULA = re.compile(r"['\"\s]*[=+\-@\uff1d\uff0b\uff0d\uff20]")


def template(day: dt.date) -> str:
    """Return the header and two example rows."""
    rows = [
        TEMPLATE_COLUMNS,
        ("1", day, "control", 10000, 700, 630),
        ("1", day, "variant_a", 10000, 950, 855),
    ]
    return "".join(",".join(map(str, row)) + "\r\n" for row in rows)


def as_cell(name: str) -> str:
    """Write a name as a cell: an apostrophe keeps a spreadsheet from running it as a formula.

    Where the decimal sign is a comma, spreadsheets end a cell at each semicolon, so each part is looked at.
    """
    return ";".join(f"'{part}" if _FORMULA.match(part) else part for part in name.split(";"))


def as_name(cell: str) -> str:
    """Read a cell of as_cell back; a name with apostrophes of its own keeps those."""
    return ";".join(
        part[1:] if part.startswith("'") and _FORMULA.match(part) else part
        for part in cell.strip().split(";")
    )


class LineReader:
    """Reads lines under a header: texts, and numbers in the style of the whole file.

    The style is learnt from the file when the first number comes that is not plain digits.
    """

    def __init__(self, header: Header) -> None:
        self.header, self.names = header, header.names
        self.width, self._unnamed = len(header.cells), header.unnamed
        self._numbers: Numbers | None = None
        self._values: dict[tuple[str, type[str], str], Any] = {}
        # Why a cell is no number.
        self._unread: dict[tuple[str, type[str], str], str] = {}

    def cell_problem(self, line: int, cells: list[str]) -> RowIssue | None:
        """Refuse a line with more or fewer cells than the header; cells without a column may be empty or missing."""
        if len(cells) == self.width and not self._unnamed:
            return None
        beyond = [cell for cell in cells[self.width :] if cell.strip()]
        beyond += [cells[place] for place in self._unnamed if place < len(cells) and cells[place].strip()]
        named = self.width - len(self._unnamed)
        if beyond:
            message = _(
                "has %(cells)s cells, the header names %(columns)s columns (%(extra)s is beyond); put a number such as "
                "12,000 in quotes, or write 12000"
            )
            values = {"cells": named + len(beyond), "columns": named, "extra": shown(beyond[-1])}
            return RowIssue(line, "file", message % values)
        if any(place >= len(cells) for place in self.header.places.values()) or self._is_short(cells):
            message = _("has %(cells)s cells, the header has %(columns)s; complete the line")
            return RowIssue(line, "file", message % {"cells": len(cells), "columns": named})
        return None

    def _is_short(self, cells: list[str]) -> bool:
        return any(self.header.cells[len(cells) :])

    def number(self, column: str, cell: str) -> Any:
        """Read a number of a column, of the type that its measure has; raise NumberError."""
        mark = (cell, type(cell), column)
        if (known := self._values.get(mark)) is not None:
            return known
        if mark in self._unread:
            raise NumberError(self._unread[mark])
        try:
            value = self.read_number(column, cell)
        except NumberError as error:
            if len(self._unread) < MOST_REMEMBERED:
                self._unread[mark] = str(error)
            raise
        if len(self._values) < MOST_REMEMBERED:
            self._values[mark] = value
        return value

    def read_number(self, column: str, cell: str) -> Any:
        """Read a number as ``number`` does, and remember nothing."""
        if self._numbers is None:
            self._numbers = self._learn_styles()
        kind = KINDS[column]
        read = self._numbers.decimal(cell) if kind == "decimal" else self._numbers.whole(cell, kind)
        return _TYPES[column](read) if column in _TYPES else read

    def _learn_styles(self) -> Numbers:
        places = [(self.header.places[name], KINDS[name]) for name in KINDS if name in self.header.places]
        learner = StyleLearner()
        for lines in in_blocks(self.header.lines()):
            learner.look_at_lines(lines, places)
            if learner.clash:
                break
        return learner.numbers


@dataclass(frozen=True)
class _Texts:
    experiment: str
    date: str
    variant: str


class RowReader(LineReader):
    """Reads lines as rows of daily counts. What is plain goes a short way; what is not is looked at closely.

    ``number_columns``: the columns of a row's numbers, in the order of DailyCounts; ``absent``: what a row has of those
    that the file lacks; ``build_plain``: makes rows of plain columns; ``has_times``: a date may be a moment;
    ``years``: those that a date may be in.
    """

    number_columns: Sequence[str] = NUMBER_NAMES
    absent: Sequence[Any] = _ABSENT
    build_plain: Callable[..., Iterable[Any]] = staticmethod(rows_of_counts)
    has_times = False

    def __init__(
        self,
        header: Header,
        blank: Blank = "refuse",
        advice: Advice = ADVICE["v1"],
        date_order: DateOrder = "detect",
        years: range = _YEARS,
    ) -> None:
        super().__init__(header)
        self.blank, self._advice = blank, advice
        places = header.places
        self._given = [(n, places[name]) for n, name in enumerate(self.number_columns) if name in places]
        # single values are not known where their squares are not
        self.has_bare_values = "value_sum" in places and "value_squares" not in places
        self._experiment = places.get("experiment_id", -1)
        self._date, self._variant = places["date"], places["variant_name"]
        self.dates = Dates(self._learn_dates, date_order, advice.date_order, has_times=self.has_times)
        self._years = years
        self._days = Meanings(lambda text: self.dates.day(text.strip()))
        # cells without a column need a look at each
        self._plain = None if self._unnamed else self._plain_reader()

    def _plain_reader(self) -> PlainRows[Any]:
        names: list[tuple[int, Column]] = [
            (self._experiment, Meanings(lambda cell: _good_name(cell.strip()))),
            (self._date, self._day_column()),
            (self._variant, Meanings(lambda cell: _good_name(as_name(cell)))),
        ]
        numbers = [
            (n, place, NumberColumn(partial(self._plain_number, n), partial(self._plain_numbers, n)))
            for n, place in self._given
        ]
        return PlainRows(self.width, names, numbers, self.absent, self.build_plain)

    def _day_column(self) -> Column:
        return self._days

    def rows(self, is_brief: Callable[[], bool] = lambda: False) -> Iterator[CsvRow | BadRow]:
        """Yield each line that holds anything as a row, or with its problems; without words once ``is_brief``."""
        for lines in in_blocks(self.header.lines()):
            for (line, cells), plain in zip(lines, self.plain_rows(lines), strict=True):
                if (row := plain or self.look_at(line, cells, is_brief)) is not None:
                    yield row

    def as_stored_now(
        self, rows: Iterable[CsvRow | BadRow], *, with_totals: bool = False
    ) -> Iterable[CsvRow | BadRow]:
        """Return the rows of an earlier reading, none of which rests on what is stored."""
        return rows

    def look_at(self, line: int, cells: list[str], is_brief: Callable[[], bool]) -> CsvRow | BadRow | None:
        """Read a line that is not plain; None for one that holds nothing."""
        return (self._briefly(line, cells) if is_brief() else None) or self._closely(line, cells)

    def plain_rows(self, lines: Sequence[Line]) -> Sequence[Any]:
        """Read lines whose cells all mean something; None in the place of any other."""
        return self._plain.of(lines) if self._plain else [None] * len(lines)

    def _plain_number(self, n: int, cell: str) -> Any:
        """Read a number; None for what is none."""
        if cell.isdecimal() and cell.isascii() and (cell[0] != "0" or len(cell) == 1) and len(cell) <= 18:
            return _TYPES[NUMBER_NAMES[n]](cell)
        if is_blank(cell):
            return None
        try:
            return self.read_number(self.number_columns[n], cell)
        except NumberError:
            return None

    def _plain_numbers(self, n: int, cells: Sequence[str]) -> Sequence[Any] | None:
        """Read a block of a column's numbers; None where not all are plain, or their style is not known yet."""
        written: Sequence[str] | None = cells if are_plain_digits(cells) else None
        if written is None and self._numbers and KINDS[self.number_columns[n]] == "decimal":
            written = self._numbers.plain_amounts(cells)
        return None if written is None else list(map(_TYPES[NUMBER_NAMES[n]], written))

    def _briefly(self, line: int, cells: list[str]) -> BadRow | None:
        """Find a line whose numbers or day cannot be read, and spare the words; None for any other."""
        if not self._plain or len(cells) != self.width:
            return None
        has_blank = is_bad = False
        for n, place in self._given:
            cell = cells[place]
            if cell.isdecimal() and cell.isascii():
                continue
            if is_blank(cell):
                has_blank = True
            else:
                is_unread = (cell, type(cell), self.number_columns[n]) in self._unread
                is_bad = is_bad or is_unread or is_no_number(cell)
        text = cells[self._date].strip()
        if not text and not any(cell.strip() for cell in cells):
            return None
        day = self._days[text]
        if not (is_bad or day is None or (has_blank and self.blank == "refuse")):
            return None
        texts = self._texts(cells)
        place_of = (day, texts.variant) if day and texts.variant else None
        return BadRow(line, UNSAID, texts.experiment, place_of, has_blank)

    def _closely(self, line: int, cells: list[str]) -> CsvRow | BadRow | None:
        if not any(cell.strip() for cell in cells):
            return None
        problem = self.cell_problem(line, cells)
        texts = self._texts([*cells, *[""] * self.width] if problem else cells)
        day = self.dates.day(texts.date)
        place = (day, texts.variant) if day and texts.variant else None
        if problem:
            return self._bad(line, cells, [problem])._replace(experiment=texts.experiment, place=place)
        issues = list(self._text_issues(line, texts))
        numbers, has_blank, found = self._read_counts(line, cells)
        if issues or found or day is None:
            return self._bad(line, cells, [*issues, *found])._replace(
                experiment=texts.experiment, place=place, has_blank=has_blank
            )
        if has_blank and self.blank == "skip":
            return BadRow(line, (), texts.experiment, place, has_blank=True)
        return CsvRow(line, texts.experiment, DailyCounts(day, texts.variant, *numbers))

    def _learn_dates(self) -> FoundDates:
        """Look at the dates of all lines; a line that is no row, such as a report's end, tells nothing.

        A row that is refused for its numbers, left out or of another experiment does: its date was written as the
        others were, and what may be mixed up in it may be so in all of them.
        """
        learner = DateLearner(self._years)
        for lines in in_blocks(self.header.lines()):
            learner.look_at_lines([line for line in lines if self._is_row(*line)], self._date)
            if learner.found.is_mixed:
                break
        return learner.found

    def _is_row(self, line: int, cells: list[str]) -> bool:
        return self.cell_problem(line, cells) is None and bool(cells[self._variant].strip())

    def _texts(self, cells: list[str]) -> _Texts:
        experiment = cells[self._experiment].strip() if self._experiment >= 0 else ""
        return _Texts(experiment, cells[self._date].strip(), as_name(cells[self._variant]))

    def _text_issues(self, line: int, texts: _Texts) -> Iterator[RowIssue]:
        given = {"variant_name": texts.variant}
        if self._experiment >= 0:
            given = {"experiment_id": texts.experiment, **given}
        for column, text in given.items():
            if problem := name_problem(text):
                yield RowIssue(line, self.names[column], problem)
        if self.dates.day(texts.date) is None:
            yield RowIssue(line, self.names["date"], self.dates.problem(texts.date))

    def _read_counts(self, line: int, cells: list[str]) -> tuple[list[Any], bool, list[RowIssue]]:
        """Read the numbers; say whether one is blank, and what is wrong."""
        numbers: list[Any] = list(self.absent)
        issues: list[RowIssue] = []
        has_blank = False
        for n, place in self._given:
            column, cell = self.number_columns[n], cells[place]
            if not is_blank(cell):
                try:
                    numbers[n] = self.number(column, cell)
                except NumberError as problem:
                    issues.append(RowIssue(line, self.names[column], str(problem)))
            elif self.blank == "refuse":
                issues.append(RowIssue(line, self.names[column], str(self._advice.blank)))
            else:
                numbers[n] = NUMBERS[n].zero
            has_blank |= is_blank(cell)
        return numbers, has_blank, issues

    def _bad(self, line: int, cells: list[str], issues: Iterable[RowIssue]) -> BadRow:
        """Build a bad row; a line of totals is called so, whatever else is wrong with it.

        Exports say it in their first column, or in a cell beyond the header. But where there is a day, as in the rows
        of variants, columns that nobody needs tell nothing: each row of a report may have the device Total.
        """
        places = {place: column for column, place in self.header.places.items()}
        has_day = self.dates.day(self._texts([*cells, *[""] * self.width]).date) is not None
        texts = [
            cell
            for place, cell in enumerate(cells)
            if (places[place] not in KINDS if place in places else not has_day)
        ]
        if total := next((text for text in texts if is_total(text)), None):
            message = _("%(name)s is a row of totals; remove it") % {"name": shown(total)}
            issues = [RowIssue(line, self.names["variant_name"], message)]
        return BadRow(line, tuple(issues))


def _good_name(text: str) -> str | None:
    return None if name_problem(text) else text


def name_problem(text: str) -> str | None:
    """Say what is wrong with a name, if anything is."""
    if not text:
        return _("is empty; give a name")
    if len(text) > NAME_LENGTH:
        message = _("%(value)s has %(length)s characters, the most are %(most)s; shorten it")
        return message % {"value": shown(text), "length": len(text), "most": NAME_LENGTH}
    if is_name(text):
        return None
    if hidden := next((sign for sign in text if not is_name(f"x{sign}")), None):
        message = _("%(value)s has the invisible character %(code)s; remove it")
        return message % {"value": shown(text), "code": f"U+{ord(hidden):04X}"}
    return None
