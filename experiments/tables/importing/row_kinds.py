"""Rows of a file: those that can be read, and those with problems."""

import datetime as dt
from typing import NamedTuple

from experiments.metrics import DailyCounts, DayTotals
from experiments.tables.issues import RowIssue


class CsvRow(NamedTuple):
    """A row that can be read, or the sum of several ``rows``, on the line of the first.

    ``experiment`` is as the file names it, "" where the file has no such column. ``capped``: single values that were
    cut. ``before``: all that is stored of its place, where that was read with it.
    """

    line: int
    experiment: str
    counts: DailyCounts
    rows: int = 1
    capped: int = 0
    before: DayTotals | None = None


# The problems of a row that is counted and not described.
UNSAID = (RowIssue(0, "", ""),)


class BadRow(NamedTuple):
    """A row with problems, or one that is left out for a blank cell; ``place`` says what it is about, if it does."""

    line: int
    issues: tuple[RowIssue, ...]
    experiment: str = ""
    place: tuple[dt.date, str] | None = None
    has_blank: bool = False
