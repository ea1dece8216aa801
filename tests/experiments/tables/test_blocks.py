"""Rows that are read, checked and compared many at a time come to what they come to one by one."""

import datetime as dt
import re
import weakref
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from experiments.exceptions import InvalidError
from experiments.tables.importing.blocks import in_blocks
from experiments.tables.importing.importer import import_table
from experiments.tables.importing.orders import ORDERS, Order, OrderReader
from experiments.tables.importing.references import References
from experiments.tables.importing.report import ImportOptions, ImportReport
from experiments.tables.importing.row_kinds import BadRow, CsvRow
from experiments.tables.importing.rows import DAILY, RowReader
from experiments.tables.issues import RowIssue
from experiments.tables.reading.bounded import within
from experiments.tables.reading.bounds import Bounds
from experiments.tables.reading.header import find_header
from experiments.tables.reading.numbers import Exact
from experiments.tables.reading.opening import open_table
from experiments.tables.reading.source import Line, Table
from experiments.tables.ways_in import ADVICE
from tests.factory import NOW, TODAY, make_experiment

HEADER = "experiment_id,date,variant_name,impressions,clicks,conversions,value_sum,value_squares"
_NAMES = st.sampled_from(["control", "blue", " blue ", "'=x", "", "x" * 201, "Total"])
_DAYS = st.sampled_from(["2025-08-14", " 2025-08-15", "2025-02-30", "", "1999-01-01"])
_COUNTS = st.sampled_from(["10", "0", "007", "1,234", "1.5", "-3", "x", "", "--", "1" * 19, "²"])
_AMOUNTS = st.sampled_from(["10", "0", "2.50", "0.5", "1,234.50", "1234,5", "1e3", "x", "", "9" * 27, "1\n2"])
_EXPERIMENTS = st.sampled_from(["x", " y ", "'=x", "", "z" * 201])
# As orders have them: days or moments.
_MOMENTS = st.sampled_from(["2025-08-14", "2025-08-14 23:30+02:00", "2025-08-14T25:00", ""])
_DAILY = HEADER.split(",")
_LINES = st.tuples(_EXPERIMENTS, _DAYS, _NAMES, _COUNTS, _COUNTS, _COUNTS, _AMOUNTS, _AMOUNTS)
_ORDER = ["experiment_id", "date", "variant_name", "value"]
_ORDERS = st.tuples(_EXPERIMENTS, _MOMENTS, _NAMES, _AMOUNTS)


class Cells:
    """A file that is split already."""

    def __init__(self, lines: Sequence[Sequence[str]]) -> None:
        self._lines = [(line, list(cells)) for line, cells in enumerate(lines, 1)]

    def first_lines(self) -> list[Line]:
        return self._lines

    def lines_after(self, line: int) -> Iterator[Line]:
        yield from self._lines[line:]


def _rows(
    header: list[str], lines: Sequence[Sequence[str]], more: Sequence[str] = (), bounds: Bounds | None = None
) -> Iterator[CsvRow | BadRow | Order]:
    """Read lines; ``more`` is a column without a name, which makes the reader look at each line by itself."""
    columns = ORDERS if header[-1] == "value" else DAILY
    table = Table([Cells([[*cells, *more] for cells in [header, *lines]])])
    found = find_header(within(table, bounds) if bounds else table, columns.without("experiment_id"))
    if columns is DAILY:
        return RowReader(found).rows()
    references = References(default=None, create=False)
    # as lines, before they are added up
    return OrderReader(found, "refuse", references, ADVICE["v1"]).orders()


def _of_file(texts: st.SearchStrategy[tuple[str, ...]]) -> st.SearchStrategy[list[tuple[str, ...]]]:
    """Build lines, some with numbers as a workbook has them."""
    exact = st.tuples(texts, st.integers(0, 8)).map(
        lambda drawn: (
            *drawn[0][:3],
            *(Exact(cell) if n < drawn[1] else cell for n, cell in enumerate(drawn[0][3:])),
        )
    )
    return st.lists(texts | exact, min_size=1, max_size=6)


_BOTH_KINDS = [
    ("x", "2025-08-14", "blue", "10", "1", "1", "1.234", "2000000"),
    ("x", "2025-08-14", "blue", "10", "1", "1", Exact("1.234"), "2000000"),
    ("x", "2025-08-14", "blue", "10", "1", "1", "1.234.567,5", "2000000"),
]


@settings(max_examples=300, deadline=None)
@given(_of_file(_LINES), st.booleans())
@example([("x", "2025-08-14", "blue", "10", "1", "1", "1,234.50", "2000000"), ("x",) * 8], True)
@example([("x", "2025-08-14", "blue", "10", "1", "1", "1\n2", "3")] * 2, True)
@example([("", "2025-08-14", "blue", "10", "1", "1", "1", "3")] * 2, True)
@example([("x", "2025-08-14", "blue", "10", "1", "1", "1", "3"), *_BOTH_KINDS], True)
@example([("x", "2025-08-14", "", "10", "1", "1", "1", "3")], False)
@pytest.mark.database_free
def test_rows__of_a_block__are_those_of_its_lines_one_by_one(
    lines: list[tuple[str, ...]], has_experiment: bool
) -> None:
    header = _DAILY if has_experiment else _DAILY[1:]
    lines = lines if has_experiment else [cells[1:] for cells in lines]

    assert list(_rows(header, lines)) == list(_rows(header, lines, more=[""]))


@settings(max_examples=300, deadline=None)
@given(_of_file(_ORDERS), st.booleans())
@example([(*cells[:3], cells[6]) for cells in _BOTH_KINDS], True)
@pytest.mark.database_free
def test_rows__of_a_block_of_orders__are_those_of_its_lines_one_by_one(
    lines: list[tuple[str, ...]], has_experiment: bool
) -> None:
    header = _ORDER if has_experiment else _ORDER[1:]
    lines = lines if has_experiment else [cells[1:] for cells in lines]

    assert list(_rows(header, lines)) == list(_rows(header, lines, more=[""]))


@pytest.mark.database_free
def test_rows__before_one_too_many__come_before_the_refusal() -> None:
    long = ["x", "2025-08-14", "blue", "10", "1", "1", "1", "3", "4"]
    # to read it takes the style of all numbers, and so the whole file
    odd = ["x", "2025-08-14", "blue", "10", "1", "1", "1,234.50", "2000000"]

    rows = _rows(_DAILY, [long, odd, odd], bounds=Bounds(2, "split it"))

    first = next(rows)
    assert isinstance(first, BadRow | CsvRow)
    assert first.line == 2
    with pytest.raises(InvalidError):
        list(rows)


@pytest.mark.parametrize("first", ["", " ", "x"])
@pytest.mark.database_free
def test_bounded_table__of_rows_whose_first_cell_is_blank__counts_them(first: str) -> None:
    table = Table([Cells([_DAILY, *[[first, "2025-08-14", "blue"]] * 3])])
    [reading] = within(table, Bounds(2, "split it")).readings

    with pytest.raises(InvalidError, match="more than 2 rows"):
        list(reading.lines_after(1))


@pytest.mark.parametrize("empty", [[""], ["", " "], []])
@pytest.mark.database_free
def test_bounded_table__of_empty_lines__counts_none_as_a_row(empty: list[str]) -> None:
    table = Table([Cells([_DAILY, *[empty] * 3, ["x"]])])
    [reading] = within(table, Bounds(1, "split it")).readings

    # a line of spaces is kept, and left out when it is read
    spaces = [(number, empty) for number in (2, 3, 4) if any(empty)]
    assert list(reading.lines_after(1)) == [*spaces, (5, ["x"])]


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
    good = [f"{experiment.key},{day},control,100,10,1,12.50,156.25" for day in days]
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
        f"{experiment.key},{day},control,{'x' if n % 97 == 5 else 100},10,1,12.50,156.25"
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
