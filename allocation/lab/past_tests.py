"""Files of tests that are over: experiment,variant,impressions,clicks, a row for each variant."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from django.utils.translation import gettext as _

from allocation.engine.lab.backtest import PastTest
from allocation.exceptions import PastTestsError
from experiments.exceptions import InvalidError
from experiments.metrics import HIGHEST_COUNT
from experiments.models import MAX_VARIANTS
from experiments.tables.issues import RowIssue, shown
from experiments.tables.reading.header import Columns, find_header
from experiments.tables.reading.numbers import NumberError, is_blank
from experiments.tables.reading.source import Table
from experiments.tables.rows import LineReader, as_name, is_total, name_problem
from experiments.text import format_number
from experiments.variants import is_control_name, plain_name

COLUMNS = ("experiment", "variant", "impressions", "clicks")
_COLUMNS = Columns(
    {
        "experiment_id": "experiment",
        "variant_name": "variant",
        "impressions": "impressions",
        "clicks": "clicks",
    }
)
_TEXTS, _COUNTS = ("experiment_id", "variant_name"), ("impressions", "clicks")
# A wrong file is refused with its first mistakes, not with all of them.
_MOST_ISSUES = 20
# Impressions and clicks.
_Pair = tuple[int, int]


@dataclass(frozen=True)
class NamedTest:
    """A past test with its names; ``counts`` are in the order of ``variants``, the control first."""

    name: str
    variants: tuple[str, ...]
    counts: PastTest


@dataclass
class _Found:
    """A test as far as it is read: its first line, the counts of each variant, and the lines of possible totals."""

    line: int
    variants: dict[str, _Pair] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)


def read_past_tests(table: Table) -> list[NamedTest]:
    """Read the tests in the file's order; PastTestsError names line, column and what is wrong there."""
    try:
        reader = LineReader(find_header(table, _COLUMNS))
        tests, issues = _read(reader)
    except InvalidError as error:
        raise PastTestsError([RowIssue(0, "", issue.message) for issue in error.issues]) from error
    issues += [issue for test in tests.values() for issue in _total_issues(test, reader.names)]
    if not tests and not issues:
        raise PastTestsError([RowIssue(0, "", _("the file has no rows"))])
    if found := issues or list(_size_issues(tests, reader.names)):
        raise PastTestsError(found[:_MOST_ISSUES])
    return [_past_test(name, test.variants) for name, test in tests.items()]


def _read(reader: LineReader) -> tuple[dict[str, _Found], list[RowIssue]]:
    tests: dict[str, _Found] = {}
    issues: list[RowIssue] = []
    for line, cells in reader.header.lines():
        if not any(cell.strip() for cell in cells):
            continue
        if len(issues) >= _MOST_ISSUES:
            break
        if problem := reader.cell_problem(line, cells):
            issues.append(problem)
            continue
        experiment, variant = (as_name(cells[reader.header.places[column]]) for column in _TEXTS)
        test = tests.setdefault(experiment, _Found(line))
        numbers, found = _numbers(reader, line, cells)
        found = [*_name_issues(reader, line, experiment, variant, test), *found]
        issues += found
        if not found:
            test.variants[variant] = numbers
            if is_total(variant):
                test.totals[variant] = line
    return tests, issues


def _name_issues(
    reader: LineReader, line: int, experiment: str, variant: str, test: _Found
) -> Iterator[RowIssue]:
    for column, text in zip(_TEXTS, (experiment, variant), strict=True):
        if problem := name_problem(text):
            yield RowIssue(line, reader.names[column], problem)
    like = next((known for known in test.variants if plain_name(known) == plain_name(variant)), None)
    if like is not None:
        message = _("%(variant)s of %(experiment)s is listed twice; add its rows up into one")
        names = {"variant": shown(variant), "experiment": shown(experiment)}
        if like != variant:
            message = _("%(variant)s of %(experiment)s is listed as %(known)s, too; write one name for both")
            names["known"] = shown(like)
        yield RowIssue(line, reader.names["variant_name"], message % names)


def _numbers(reader: LineReader, line: int, cells: list[str]) -> tuple[_Pair, list[RowIssue]]:
    """Read impressions and clicks; what is wrong comes beside them."""
    numbers, issues = [0, 0], []
    for index, column in enumerate(_COUNTS):
        try:
            numbers[index] = _count(reader, column, cells[reader.header.places[column]])
        except NumberError as error:
            issues.append(RowIssue(line, reader.names[column], str(error)))
    impressions, clicks = numbers
    if not issues and clicks > impressions:
        message = _("clicks %(clicks)s exceed impressions %(impressions)s")
        values = {"clicks": format_number(clicks, 0), "impressions": format_number(impressions, 0)}
        issues.append(RowIssue(line, reader.names["clicks"], message % values))
    return (impressions, clicks), issues


def _count(reader: LineReader, column: str, cell: str) -> int:
    if is_blank(cell):
        raise NumberError(_("is blank; give a number, 0 if there were none"))
    value = int(reader.number(column, cell))
    if not 0 <= value <= HIGHEST_COUNT:
        message = _("%(value)s is not from 0 to %(most)s")
        raise NumberError(message % {"value": shown(cell), "most": format_number(HIGHEST_COUNT, 0)})
    return value


def _total_issues(test: _Found, names: dict[str, str]) -> Iterable[RowIssue]:
    """Refuse a row called Total, or the like, that holds the sum of the test's other rows."""
    others = [counts for variant, counts in test.variants.items() if variant not in test.totals]
    sums = tuple(sum(column) for column in zip(*others, strict=True)) if others else ()
    for variant, line in test.totals.items():
        if test.variants[variant] == sums:
            message = _("%(name)s is a row of totals: it holds the sum of the test's other rows; remove it")
            yield RowIssue(line, names["variant_name"], message % {"name": shown(variant)})


def _size_issues(tests: dict[str, _Found], names: dict[str, str]) -> Iterator[RowIssue]:
    for name, test in tests.items():
        if not 2 <= len(test.variants) <= MAX_VARIANTS:
            message = _("experiment %(name)s has %(count)s variants; it needs 2 to %(most)s")
            values = {"name": name[:40], "count": len(test.variants), "most": MAX_VARIANTS}
            yield RowIssue(test.line, names["variant_name"], message % values)


def _past_test(name: str, variants: dict[str, _Pair]) -> NamedTest:
    # the control comes first: the variant of that name, else the first listed
    ordered = sorted(variants, key=lambda variant: not is_control_name(variant))
    counts = np.array([variants[variant] for variant in ordered], dtype=np.float64)
    return NamedTest(name, tuple(ordered), PastTest(impressions=counts[:, 0], clicks=counts[:, 1]))
