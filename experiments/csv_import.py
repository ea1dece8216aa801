"""The CSV of daily metrics: experiment_id, date, variant_name, impressions, clicks, conversions (may be left out).

UTF-8 with or without a byte-order mark, comma or semicolon. Every bad row is reported by line, column and
reason; then either nothing is written (reject) or the good rows are (skip). One transaction for the whole file.
"""

import csv
import datetime as dt
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple

from django.db import transaction
from rest_framework.request import Request

from experiments.counts import DailyCounts, count_issues
from experiments.exceptions import DomainError, ExperimentNotFoundError, InvalidError, InvalidRowsError, Issue
from experiments.ingestion import record_events
from experiments.models import NAME_LENGTH, Experiment
from experiments.selectors import find_experiment
from experiments.services import create_experiment, key_from_name

if TYPE_CHECKING:
    from _csv import Reader

COLUMNS = ("experiment_id", "date", "variant_name", "impressions", "clicks", "conversions")
_OPTIONAL = {"conversions"}
_COUNTS = COLUMNS[3:]
_BATCH_ROWS = 5000
# Signs pass, so that a negative count is called negative; more digits than a 64-bit number has do not.
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

OnError = Literal["reject", "skip"]


class RowIssue(NamedTuple):
    """What is wrong with one line of the file (the header is line 1)."""

    line: int
    column: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.column}: {self.message}"


class CsvRow(NamedTuple):
    line: int
    experiment: str
    counts: DailyCounts


@dataclass
class ImportReport:
    """What came of a file. ``issues`` keeps the first ``kept_issues`` of ``total_issues``."""

    kept_issues: int
    total_rows: int = 0
    processed_rows: int = 0
    total_issues: int = 0
    issues: list[RowIssue] = field(default_factory=list)
    experiment_ids: list[int] = field(default_factory=list)

    def add(self, issue: RowIssue) -> None:
        self.total_issues += 1
        if len(self.issues) < self.kept_issues:
            self.issues.append(issue)


def import_csv(
    lines: Iterable[str],
    *,
    today: dt.date,
    now: dt.datetime,
    create: bool = False,
    on_error: OnError = "reject",
    kept_issues: int = 100,
) -> ImportReport:
    """Reads the file and records its rows as daily totals; ``create`` makes experiments that are missing.

    Raises InvalidError where the file as a whole cannot be read: no header, columns missing, not UTF-8.
    """
    importer = _Importer(today, now, create, ImportReport(kept_issues))
    with transaction.atomic():
        rows = importer.checked_rows(read_rows(lines))
        while batch := list(islice(rows, _BATCH_ROWS)):
            if on_error == "skip" or not importer.report.total_issues:
                importer.record(batch)
        if on_error == "reject" and importer.report.total_issues:
            transaction.set_rollback(True)
            importer.report.processed_rows = 0
            importer.report.experiment_ids = []
    return importer.report


def template(day: dt.date) -> str:
    """The header and two example rows."""
    rows = [COLUMNS, ("1", day, "control", 10000, 700, 630), ("1", day, "variant_a", 10000, 950, 855)]
    return "".join(",".join(map(str, row)) + "\r\n" for row in rows)


def uploaded_lines(request: Request) -> io.TextIOWrapper:
    """The lines of the multipart field "file"; raises InvalidError where it is missing."""
    file = request.FILES.get("file")
    if file is None:
        raise InvalidError([Issue("file", "required", "send the CSV as the multipart field 'file'")])
    return io.TextIOWrapper(file, encoding="utf-8-sig", newline="")


def read_rows(lines: Iterable[str]) -> Iterator[CsvRow | list[RowIssue]]:
    """Each line as a row, or what is wrong with it."""
    reader = _reader(lines)
    header = _header(reader)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield _row(reader.line_num, header, cells)
    except csv.Error as error:
        raise InvalidError([Issue("file", "unreadable", f"line {reader.line_num}: {error}")]) from error
    except UnicodeDecodeError as error:
        raise InvalidError([Issue("file", "not_utf8", "the file is not UTF-8 text")]) from error


class _Importer:
    """The state of one import: experiments found so far, rows seen, and the report."""

    def __init__(self, today: dt.date, now: dt.datetime, create: bool, report: ImportReport) -> None:
        self.today, self.now, self.create, self.report = today, now, create, report
        self._experiments: dict[str, Experiment | str] = {}
        self._seen: dict[int, int] = {}

    def checked_rows(self, rows: Iterable[CsvRow | list[RowIssue]]) -> Iterator[CsvRow]:
        for row in rows:
            self.report.total_rows += 1
            issues = list(self._row_issues(row)) if isinstance(row, CsvRow) else row
            for issue in issues:
                self.report.add(issue)
            if isinstance(row, CsvRow) and not issues:
                yield row

    def record(self, batch: list[CsvRow]) -> None:
        groups: defaultdict[int, list[CsvRow]] = defaultdict(list)
        for row in batch:
            experiment = self._experiment(row.experiment)
            if isinstance(experiment, str):
                self.report.add(RowIssue(row.line, "experiment_id", experiment))
            else:
                groups[experiment.pk].append(row)
        # Always in the same order, so that two imports at once wait for each other and never deadlock.
        for experiment_id in sorted(groups):
            self._record_group(experiment_id, groups[experiment_id])

    def _record_group(self, experiment_id: int, group: list[CsvRow]) -> None:
        while group:
            try:
                record_events(
                    experiment_id=experiment_id,
                    rows=[row.counts for row in group],
                    today=self.today,
                    now=self.now,
                )
            except InvalidRowsError as error:
                bad = {index for index, _ in error.row_issues}
                for index, issue in error.row_issues:
                    self.report.add(RowIssue(group[index].line, issue.field, issue.message))
                group = [row for index, row in enumerate(group) if index not in bad]
            except DomainError as error:
                for row in group:
                    self.report.add(RowIssue(row.line, "experiment_id", str(error)))
                return
            else:
                self.report.processed_rows += len(group)
                if experiment_id not in self.report.experiment_ids:
                    self.report.experiment_ids.append(experiment_id)
                return

    def _row_issues(self, row: CsvRow) -> Iterator[RowIssue]:
        for issue in count_issues(row.counts, self.today):
            yield RowIssue(row.line, issue.field, issue.message)
        # A hash of 64 bits for each row, not the row: a million of them fit in memory.
        place = hash((row.experiment, row.counts.date, row.counts.variant_name))
        if not self.create and isinstance(problem := self._experiment(row.experiment), str):
            yield RowIssue(row.line, "experiment_id", problem)
        first = self._seen.setdefault(place, row.line)
        if first != row.line:
            yield RowIssue(
                row.line, "variant_name", f"the same experiment, date and variant stand on line {first}"
            )

    def _experiment(self, reference: str) -> Experiment | str:
        """The experiment, or why there is none."""
        if reference not in self._experiments:
            self._experiments[reference] = self._find_or_create(reference)
        return self._experiments[reference]

    def _find_or_create(self, reference: str) -> Experiment | str:
        try:
            return find_experiment(reference)
        except ExperimentNotFoundError as error:
            if not self.create:
                return str(error)
        if reference.isascii() and reference.isdigit():
            return create_experiment(name=f"Experiment {reference}", now=self.now, pk=int(reference))
        if key_from_name(reference) != reference:
            return f"{reference!r} is neither a number nor a key such as {key_from_name(reference)!r}"
        return create_experiment(name=reference, now=self.now)


def _reader(lines: Iterable[str]) -> "Reader":
    """Looks at the header alone to tell a comma from a semicolon."""
    stream = iter(lines)
    try:
        first = next(stream, "")
    except UnicodeDecodeError as error:
        raise InvalidError([Issue("file", "not_utf8", "the file is not UTF-8 text")]) from error
    delimiter = ";" if first.count(";") > first.count(",") else ","
    return csv.reader(_chain(first.removeprefix("\ufeff"), stream), delimiter=delimiter)


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _header(reader: "Reader") -> list[str]:
    try:
        header = [name.strip().lower() for name in next(reader, [])]
    except csv.Error as error:
        raise InvalidError([Issue("file", "unreadable", f"line 1: {error}")]) from error
    missing = [name for name in COLUMNS if name not in header and name not in _OPTIONAL]
    unknown = [name for name in header if name not in COLUMNS]
    if missing or unknown or len(set(header)) < len(header):
        said = (
            f"missing: {', '.join(missing)}"
            if missing
            else f"not known or twice: {', '.join(unknown or header)[:200]}"
        )
        message = f"the first line must name the columns {', '.join(COLUMNS)}; {said}"
        raise InvalidError([Issue("file", "wrong_header", message)])
    return header


def _row(line: int, header: list[str], cells: list[str]) -> CsvRow | list[RowIssue]:
    if len(cells) != len(header):
        return [RowIssue(line, "file", f"has {len(cells)} cells, the header has {len(header)}")]
    values = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    values["conversions"] = values.get("conversions") or "0"
    issues = [RowIssue(line, column, message) for column, message in _cell_issues(values)]
    if issues:
        return issues
    counts = DailyCounts(
        dt.date.fromisoformat(values["date"]),
        values["variant_name"],
        *(int(values[name]) for name in _COUNTS),
    )
    return CsvRow(line, values["experiment_id"], counts)


def _cell_issues(values: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name in ("experiment_id", "variant_name"):
        if not values[name]:
            yield name, "is empty"
        elif len(values[name]) > NAME_LENGTH or not values[name].isprintable():
            yield name, f"must be at most {NAME_LENGTH} printable characters"
    if not _is_date(values["date"]):
        yield "date", f"{values['date'][:40]!r} is not a date such as 2025-08-14"
    for name in _COUNTS:
        if not _WHOLE.fullmatch(values[name]):
            yield name, f"{values[name][:40]!r} is not a whole number"


def _is_date(text: str) -> bool:
    if not _ISO_DATE.fullmatch(text):
        return False
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True
