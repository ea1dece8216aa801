"""Import of a CSV of daily totals, in one transaction for the whole file.

The file is read twice. First every row is checked, with no lock held; then the good rows are written, with the
experiments locked in the order of their ids. Bad rows are reported by line, column and reason; either nothing is
written then (reject) or the good rows are (skip). A dry run does all of it and rolls back.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from django.db import transaction
from django.utils.translation import gettext as _

from experiments.events import log_event_on_commit
from experiments.exceptions import MAX_ISSUES, DomainError, ExperimentNotFoundError, InvalidRowsError
from experiments.ingestion.diff import RowChange, row_changes
from experiments.ingestion.record import Source, record_events, record_placed
from experiments.ingestion.validation import count_issues
from experiments.models import Experiment
from experiments.selectors import find_experiment
from experiments.services import create_experiment, key_from_name, lock_experiments
from experiments.tables.rows import CsvRow, RowIssue, read_rows

OnError = Literal["reject", "skip"]
OpenLines = Callable[[], Iterable[str]]
# Gets each group of recorded rows: their experiment, their lines and their changes.
Observer = Callable[[Experiment, list[tuple[int, RowChange]]], None]

_BATCH_ROWS = 5000
# A larger id would use up the database's own numbering.
_LARGEST_NEW_ID = 10**9


@dataclass
class ImportReport:
    """Result of an import. ``issues`` keeps the first ``kept_issues`` of ``total_issues``.

    ``left_out``: rows of experiments other than the only one asked for; they count as neither good nor bad.
    """

    kept_issues: int
    total_rows: int = 0
    processed_rows: int = 0
    left_out: int = 0
    total_issues: int = 0
    issues: list[RowIssue] = field(default_factory=list)
    experiment_ids: list[int] = field(default_factory=list)

    def add(self, issue: RowIssue) -> None:
        self.total_issues += 1
        if len(self.issues) < self.kept_issues:
            self.issues.append(issue)

    @property
    def refused_rows(self) -> int:
        """Rows that were refused, where the good ones were recorded."""
        return self.total_rows - self.left_out - self.processed_rows


def import_csv(
    open_lines: OpenLines,
    *,
    today: dt.date,
    now: dt.datetime,
    create: bool = False,
    on_error: OnError = "reject",
    kept_issues: int = MAX_ISSUES,
    only: Experiment | None = None,
    dry_run: bool = False,
    observer: Observer | None = None,
    source: Source = "csv",
) -> ImportReport:
    """Record the rows of the file that ``open_lines`` opens (twice); ``create`` makes experiments that are missing.

    ``only`` leaves out the rows of other experiments. ``observer`` gets each group of recorded rows; ``dry_run`` rolls
    all back. Raises InvalidError where the file as a whole cannot be read: no header, columns missing, not UTF-8.
    """
    report = ImportReport(kept_issues)
    check = _Check(today, create, report, only)
    for row in read_rows(open_lines()):
        check.look_at(row)
    if on_error == "reject" and report.total_issues:
        return report
    with transaction.atomic():
        experiments = {reference: _find_or_create(reference, now) for reference in check.references}
        lock_experiments([experiment.pk for experiment in experiments.values()])
        writer = _Writer(today, now, experiments, report, observer)
        # a file without a good row may still be long
        good = check.good_rows(read_rows(open_lines())) if check.references else iter(())
        while batch := list(islice(good, _BATCH_ROWS)):
            writer.record(batch)
        rejected = on_error == "reject" and report.total_issues > 0
        if rejected or dry_run:
            transaction.set_rollback(True)
        if rejected:
            report.processed_rows, report.experiment_ids = 0, []
    if not dry_run:
        _log(report, source)
    return report


def _log(report: ImportReport, source: Source) -> None:
    log_event_on_commit(
        "events.recorded",
        source=source,
        mode="set",
        rows=report.processed_rows,
        experiments=len(report.experiment_ids),
        refused=report.total_issues,
    )


class _Check:
    """First reading: finds the problems of each row by itself and beside the others."""

    def __init__(self, today: dt.date, create: bool, report: ImportReport, only: Experiment | None) -> None:
        self.today, self.create, self.report = today, create, report
        self._only = {only.key, str(only.pk)} if only else None
        self.bad_lines: set[int] = set()
        # Every experiment named by a good row, in the order of the file.
        self.references: dict[str, None] = {}
        self._problems: dict[str, str | None] = {}
        self._seen: dict[int, int] = {}

    def look_at(self, row: CsvRow | list[RowIssue]) -> None:
        self.report.total_rows += 1
        if isinstance(row, CsvRow) and not self.is_wanted(row):
            self.report.left_out += 1
            return
        issues = list(self._issues(row)) if isinstance(row, CsvRow) else row
        for issue in issues:
            self.report.add(issue)
            self.bad_lines.add(issue.line)
        if isinstance(row, CsvRow) and not issues:
            self.references[row.experiment] = None

    def good_rows(self, rows: Iterable[CsvRow | list[RowIssue]]) -> Iterator[CsvRow]:
        """Keep, on the second reading, the rows that are neither bad nor left out."""
        for row in rows:
            if isinstance(row, CsvRow) and row.line not in self.bad_lines and self.is_wanted(row):
                yield row

    def is_wanted(self, row: CsvRow) -> bool:
        return self._only is None or row.experiment in self._only

    def _issues(self, row: CsvRow) -> Iterator[RowIssue]:
        found = [
            RowIssue(row.line, issue.field, issue.message) for issue in count_issues(row.counts, self.today)
        ]
        if (problem := self._reference_problem(row.experiment)) is not None:
            found.append(RowIssue(row.line, "experiment_id", problem))
        yield from found or self._repetition(row)

    def _repetition(self, row: CsvRow) -> Iterator[RowIssue]:
        """Let a good row claim its place. A 64-bit hash marks each, so that a million of them fit in memory."""
        place = hash((row.experiment, row.counts.date, row.counts.variant_name))
        first = self._seen.setdefault(place, row.line)
        if first != row.line:
            message = _("the same experiment, date and variant stand on line %(line)s")
            yield RowIssue(row.line, "variant_name", message % {"line": first})

    def _reference_problem(self, reference: str) -> str | None:
        if reference not in self._problems:
            self._problems[reference] = self._missing(reference)
        return self._problems[reference]

    def _missing(self, reference: str) -> str | None:
        try:
            find_experiment(reference)
        except ExperimentNotFoundError as error:
            return _creation_problem(reference) if self.create else str(error)
        return None


class _Writer:
    """Second reading: writes the good rows."""

    def __init__(
        self,
        today: dt.date,
        now: dt.datetime,
        experiments: dict[str, Experiment],
        report: ImportReport,
        observer: Observer | None,
    ) -> None:
        self.today, self.now, self.experiments, self.report = today, now, experiments, report
        self.observer = observer

    def record(self, batch: list[CsvRow]) -> None:
        """Write a batch at once, or each experiment by itself if rows are refused or an observer wants them."""
        if self.observer:
            self._record_groups(batch)
            return
        placed = [(self.experiments[row.experiment].pk, row.counts) for row in batch]
        try:
            record_placed(rows=placed, today=self.today, now=self.now)
        except DomainError:
            self._record_groups(batch)
        else:
            self._note(len(batch), {experiment_id for experiment_id, _ in placed})

    def _record_groups(self, batch: list[CsvRow]) -> None:
        groups: defaultdict[int, list[CsvRow]] = defaultdict(list)
        for row in batch:
            groups[self.experiments[row.experiment].pk].append(row)
        for group in groups.values():
            self._record_group(self.experiments[group[0].experiment], group)

    def _note(self, rows: int, experiment_ids: set[int]) -> None:
        """Count what was recorded; keep the experiments in the order in which the file names them."""
        self.report.processed_rows += rows
        known = experiment_ids | set(self.report.experiment_ids)
        in_order = dict.fromkeys(experiment.pk for experiment in self.experiments.values())
        self.report.experiment_ids = [experiment_id for experiment_id in in_order if experiment_id in known]

    def _record_group(self, experiment: Experiment, group: list[CsvRow]) -> None:
        """Write the rows of one experiment; report what only the database can refuse (a completed experiment, too
        many variants) by row.
        """
        while group:
            counts = [row.counts for row in group]
            effects = row_changes(experiment.pk, counts) if self.observer else []
            try:
                record_events(
                    experiment_id=experiment.pk, rows=counts, today=self.today, now=self.now, source=None
                )
            except InvalidRowsError as error:
                for index, issue in error.row_issues:
                    self.report.add(RowIssue(group[index].line, issue.field, issue.message))
                bad = {index for index, _ in error.row_issues}
                group = [row for index, row in enumerate(group) if index not in bad]
            except DomainError as error:
                for row in group:
                    self.report.add(RowIssue(row.line, "experiment_id", str(error)))
                return
            else:
                self._note(len(group), {experiment.pk})
                if self.observer:
                    lines = [row.line for row in group]
                    self.observer(experiment, list(zip(lines, effects, strict=True)))
                return


def _creation_problem(reference: str) -> str | None:
    if reference.isascii() and reference.isdigit():
        return (
            None if 0 < int(reference) <= _LARGEST_NEW_ID else f"{reference[:40]} is too large for a new id"
        )
    if key_from_name(reference) != reference:
        return f"{reference[:100]!r} is neither a number nor a key such as {key_from_name(reference)!r}"
    return None


def _find_or_create(reference: str, now: dt.datetime) -> Experiment:
    try:
        return find_experiment(reference)
    except ExperimentNotFoundError:
        if reference.isdigit():
            return create_experiment(name=f"Experiment {reference}", now=now, pk=int(reference))
        return create_experiment(name=reference, now=now)
