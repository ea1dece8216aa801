"""Files of tests that are over: experiment,variant,impressions,clicks, a row for each variant."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from django.utils.translation import gettext as _

from allocation.engine.lab.backtest import PastTest
from allocation.exceptions import PastTestsError
from experiments.models import MAX_VARIANTS
from experiments.tables.rows import RowIssue
from experiments.text import format_number

COLUMNS = ("experiment", "variant", "impressions", "clicks")
_MAX_COUNT = 10**12
# A wrong file is refused with its first mistakes, not with all of them.
_MOST_ISSUES = 20
_Counts = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class NamedTest:
    """A past test with its names; ``counts`` are in the order of ``variants``, the control first."""

    name: str
    variants: tuple[str, ...]
    counts: PastTest


def read_past_tests(lines: Iterable[str]) -> list[NamedTest]:
    """Read the tests in the file's order; PastTestsError names line, column and what is wrong there."""
    issues: list[RowIssue] = []
    try:
        experiments = _read_rows(lines, issues)
    except (UnicodeDecodeError, csv.Error) as error:
        message = _("the file cannot be read: %(why)s") % {"why": error}
        raise PastTestsError([RowIssue(0, "", message)]) from error
    if not experiments and not issues:
        raise PastTestsError([RowIssue(0, "", _("the file has no rows"))])
    if found := issues or list(_size_issues(experiments)):
        raise PastTestsError(found[:_MOST_ISSUES])
    return [_past_test(name, variants) for name, (_line, variants) in experiments.items()]


def _read_rows(lines: Iterable[str], issues: list[RowIssue]) -> dict[str, tuple[int, _Counts]]:
    """Collect for each experiment its first line and its variants."""
    reader = csv.DictReader(_without_mark(lines))
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or [])]
    if missing:
        message = _("the file lacks the column %(column)s; it needs %(columns)s") % {
            "column": missing[0],
            "columns": ",".join(COLUMNS),
        }
        raise PastTestsError([RowIssue(1, missing[0], message)])
    experiments: dict[str, tuple[int, _Counts]] = {}
    for row in reader:
        line = reader.line_num
        _first, variants = experiments.setdefault(row["experiment"], (line, {}))
        found = list(_row_issues(row, line, variants))
        issues += found
        if len(issues) >= _MOST_ISSUES:
            break
        if not found:
            variants[row["variant"]] = int(row["impressions"]), int(row["clicks"])
    return experiments


def _size_issues(experiments: dict[str, tuple[int, _Counts]]) -> Iterator[RowIssue]:
    for name, (line, variants) in experiments.items():
        if not 2 <= len(variants) <= MAX_VARIANTS:
            message = _("experiment %(name)s has %(count)s variants; it needs 2 to %(most)s")
            values = {"name": name[:40], "count": len(variants), "most": MAX_VARIANTS}
            yield RowIssue(line, "variant", message % values)


def _without_mark(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield line.removeprefix("\ufeff") if number == 0 else line


def _row_issues(row: dict[str, str], line: int, seen: _Counts) -> Iterator[RowIssue]:
    for column in ("experiment", "variant"):
        if not row[column]:
            yield RowIssue(line, column, _("%(column)s is empty") % {"column": column})
    if row["variant"] in seen:
        words = _("%(variant)s of %(experiment)s is listed twice")
        yield RowIssue(line, "variant", words % {name: row[name][:40] for name in COLUMNS[:2]})
    # a cell that is missing at the line's end comes as None
    wrong = {column: row[column] or "" for column in COLUMNS[2:] if not _is_count(row[column] or "")}
    for column, text in wrong.items():
        message = _("%(column)s must be a whole number from 0 to %(most)s, not %(text)r")
        values = {"column": column, "most": format_number(_MAX_COUNT, 0), "text": text[:40]}
        yield RowIssue(line, column, message % values)
    if not wrong and int(row["clicks"]) > int(row["impressions"]):
        message = _("clicks %(clicks)s exceed impressions %(impressions)s")
        yield RowIssue(
            line, "clicks", message % {name: format_number(int(row[name]), 0) for name in COLUMNS[2:]}
        )


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 13 and int(text) <= _MAX_COUNT


def _past_test(name: str, variants: _Counts) -> NamedTest:
    # the control comes first: the variant of that name, else the first listed
    ordered = sorted(variants, key=lambda variant: variant != "control")
    counts = np.array([variants[variant] for variant in ordered], dtype=np.float64)
    return NamedTest(name, tuple(ordered), PastTest(impressions=counts[:, 0], clicks=counts[:, 1]))
