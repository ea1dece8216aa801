"""Rows that are read, checked and compared many at a time come to what they come to one by one."""

import datetime as dt
import re
import weakref
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from experiments.exceptions import InvalidError
from experiments.tables.importing.importer import import_table
from experiments.tables.importing.report import ImportOptions, ImportReport
from experiments.tables.importing.row_kinds import BadRow, CsvRow
from experiments.tables.importing.rows import DAILY, RowReader
from experiments.tables.issues import RowIssue
from experiments.tables.reading.blocks import in_blocks
from experiments.tables.reading.bounded import within
from experiments.tables.reading.bounds import Bounds
from experiments.tables.reading.header import find_header
from experiments.tables.reading.opening import open_table
from experiments.tables.reading.source import Line, Table
from tests.factory import NOW, TODAY, make_experiment, make_table

HEADER = "experiment_id,date,variant_name,impressions,clicks,conversions,value_sum,value_squares"
_NAMES = st.sampled_from(["control", "blue", " blue ", "'=x", "", "x" * 201, "Total"])
_DAYS = st.sampled_from(["2025-08-14", " 2025-08-15", "2025-02-30", "", "1999-01-01"])
_COUNTS = st.sampled_from(["10", "0", "007", "1,234", "1.5", "-3", "x", "", "--", "1" * 19, "²"])
_AMOUNTS = st.sampled_from(["10", "0", "2.50", "0.5", "1,234.50", "1234,5", "1e3", "x", "", "9" * 27, "1\n2"])
_LINES = st.tuples(st.just("x"), _DAYS, _NAMES, _COUNTS, _COUNTS, _COUNTS, _AMOUNTS, _AMOUNTS)


def _rows(lines: list[tuple[str, ...]], more: str = "") -> list[CsvRow | BadRow]:
    """Read lines; a column without a name makes the reader look at each cell by itself."""
    quoted = ["".join(f'"{cell}",' for cell in line) for line in lines]
    text = "\n".join([HEADER + more, *(line[:-1] + more for line in quoted), ""])
    return list(RowReader(find_header(make_table(text), DAILY)).rows())


@settings(max_examples=300, deadline=None)
@given(st.lists(_LINES, min_size=1, max_size=6))
@example([("x", "2025-08-14", "blue", "10", "1", "1", "1,234.50", "2000000"), ("x",) * 8])
@example([("x", "2025-08-14", "blue", "10", "1", "1", "1\n2", "3")] * 2)
@pytest.mark.database_free
def test_rows__of_a_block__are_those_of_its_lines_one_by_one(lines: list[tuple[str, ...]]) -> None:
    assert _rows(lines) == _rows(lines, more=",")


def _report(lines: list[str], **options: Any) -> ImportReport:
    text = "\n".join([HEADER, *lines, ""]).encode()
    table = open_table(lambda: BytesIO(text), bounds=Bounds(5000, "split it"))
    return import_table(table, today=TODAY, now=NOW, options=ImportOptions(**options), dry_run=True)


def _behind(issues: list[RowIssue], lines: int) -> list[RowIssue]:
    """Move problems down, and leave out the other lines that they name."""
    return [
        RowIssue(issue.line + lines, issue.column, re.sub("line [0-9]+", "a line", issue.message))
        for issue in issues
    ]


_ODD = [
    "{key},2025-08-14,control,10,20,1,0,0",
    "{key},2025-08-14,Total,10,2,1,0,0",
    "{key},2025-08-14,CONTROL,10,2,1,0,0",
    "{key},2025-08-15,blue,10,2,1,5,1",
    "{key},2025-08-15,blue,10,2,1,0.00001,1",
    "{key},2025-08-16,blue,10,2,1,5,25",
    "{key},2025-08-16,blue,10,2,1,5,25",
    "{key},2027-01-01,blue,10,2,1,5,25",
    "nowhere,2025-08-16,red,10,2,1,5,25",
    "{key},2025-08-17,red,ten,2,1,5,25",
    "other,2025-08-17,red,10,2,1,5,25",
]


@pytest.mark.django_db
@pytest.mark.parametrize("on_error", ["reject", "skip"])
@pytest.mark.parametrize("repeated", ["refuse", "sum"])
def test_import__odd_rows_behind_many_good_ones__are_judged_as_behind_one(
    on_error: str, repeated: str
) -> None:
    experiment = make_experiment()
    make_experiment("other")
    odd = [line.format(key=experiment.key) for line in _ODD]
    days = (TODAY - dt.timedelta(days=500 + n) for n in range(1200))
    good = [f"{experiment.key},{day},control,100,10,1,12.50,200" for day in days]
    options = {"on_error": on_error, "repeated": repeated}

    few, many = _report([*good[:1], *odd], **options), _report([*good, *odd], **options)

    assert _behind(few.issues, 1199) == _behind(many.issues, 0)
    assert len(few.issues) >= 7
    assert (few.total_rows + 1199, few.kinds) == (many.total_rows, many.kinds)
    assert many.processed_rows == (few.processed_rows + 1199 if on_error == "skip" else 0)


@pytest.mark.django_db
def test_import__odd_rows_among_many_good_ones__leave_the_good_ones_recorded() -> None:
    experiment = make_experiment()
    days = [TODAY - dt.timedelta(days=n) for n in range(1200)]
    lines = [
        f"{experiment.key},{day},control,{'x' if n % 97 == 5 else 100},10,1,12.50,200"
        for n, day in enumerate(days)
    ]

    report = _report(lines, on_error="skip")

    assert (report.processed_rows, report.total_issues) == (1187, 13)


@pytest.mark.database_free
def test_blocks__of_a_file_that_is_too_long__come_before_the_refusal() -> None:
    def items() -> Any:
        yield from range(3)
        raise InvalidError([])

    blocks = in_blocks(items())

    assert next(blocks) == [0, 1, 2]
    with pytest.raises(InvalidError):
        next(blocks)


class Text(str):
    """A cell that can be watched."""


class Lines:
    """A file that is read once, and keeps nothing."""

    def __init__(self, lines: list[Line]) -> None:
        self._lines = lines

    def first_lines(self) -> list[Line]:
        return []

    def lines_after(self, line: int) -> Iterator[Line]:
        while self._lines:
            yield self._lines.pop(0)


@pytest.mark.database_free
def test_bounded_table__once_nobody_reads_its_lines__forgets_them() -> None:
    cells: list[str] = [Text("1"), Text("2")]
    known = weakref.ref(cells[0])
    [reading] = within(Table([Lines([(2, cells)])]), Bounds(5, "split it")).readings
    del cells
    lines = reading.lines_after(1)
    twice = reading.lines_after(1)

    assert next(lines) == next(twice) == (2, ["1", "2"])
    assert known() is not None

    del lines, twice
    assert known() is None
