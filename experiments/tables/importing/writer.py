"""The second reading of a file: writes the good rows."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from django.utils.translation import gettext as _

from experiments.exceptions import DomainError, InvalidError, InvalidRowsError, Issue
from experiments.ingestion.diff import RowChange, row_changes
from experiments.ingestion.new_names import NewVariants
from experiments.ingestion.record import Recorded, record_events, record_placed
from experiments.models import Experiment
from experiments.tables.importing.report import ImportReport
from experiments.tables.importing.rows import CsvRow
from experiments.tables.issues import RowIssue

# Gets each group of recorded rows: their experiment, their lines and their changes.
Observer = Callable[[Experiment, list[tuple[int, RowChange]]], None]

_BATCH_ROWS = 5000


def added_up(
    rows: Iterable[CsvRow], repeated_place: Callable[[CsvRow], int | None], expected: Mapping[int, int]
) -> Iterator[CsvRow]:
    """Pass rows on; those of a place that comes several times as their sum, once it has all that are ``expected``.

    So a file in the order of its days takes the memory of a few days, however long it is. What is left at the end
    lacks a row that was refused later.
    """
    left, sums = dict(expected), dict[int, CsvRow]()
    for row in rows:
        if (place := repeated_place(row)) is None:
            yield row
            continue
        left[place] -= 1
        if left[place] < 0:
            raise InvalidError([Issue("file", "changed", _("changed while it was read; load it again"))])
        sums[place] = total = _plus(sums.get(place), row)
        if left[place] == 0:
            del sums[place]
            yield total
    yield from sums.values()


def _plus(before: CsvRow | None, row: CsvRow) -> CsvRow:
    """Add a row to those before it; the first one's line stands for all."""
    if before is None:
        return row
    return before._replace(counts=before.counts.plus(row.counts.totals), rows=before.rows + row.rows)


class Writer:
    """Writes rows in batches and reports what only the database can refuse by line."""

    def __init__(
        self,
        *,
        today: dt.date,
        now: dt.datetime,
        experiments: Mapping[str, Experiment],
        report: ImportReport,
        names: Mapping[str, str],
        new_variants: NewVariants,
        observer: Observer | None,
    ) -> None:
        self.today, self.now, self.experiments, self.report = today, now, experiments, report
        self.names, self.new_variants, self.observer = names, new_variants, observer

    def write(self, rows: Iterator[CsvRow]) -> None:
        while batch := list(islice(rows, _BATCH_ROWS)):
            self._record(batch)

    def _record(self, batch: list[CsvRow]) -> None:
        """Write a batch at once, or each experiment by itself if rows are refused or an observer wants them."""
        if self.observer:
            self._record_groups(batch)
            return
        placed = [(self.experiments[row.experiment].pk, row.counts) for row in batch]
        try:
            recorded = record_placed(
                rows=placed, today=self.today, now=self.now, new_variants=self.new_variants
            )
        except DomainError:
            self._record_groups(batch)
        else:
            self._note(batch, recorded)

    def _record_groups(self, batch: list[CsvRow]) -> None:
        groups: defaultdict[int, list[CsvRow]] = defaultdict(list)
        for row in batch:
            groups[self.experiments[row.experiment].pk].append(row)
        for group in groups.values():
            self._record_group(self.experiments[group[0].experiment], group)

    def _note(self, rows: list[CsvRow], recorded: Recorded) -> None:
        """Count what was recorded; keep the experiments in the order in which the file names them."""
        for row in rows:
            self.report.processed_rows += row.rows
            self.report.values_capped += row.capped
            self.report.recorded_rows[self.experiments[row.experiment].pk] += row.rows
        self.report.new_variants |= dict.fromkeys(recorded.new_variant_names)
        in_order = dict.fromkeys(experiment.pk for experiment in self.experiments.values())
        self.report.experiment_ids = [
            experiment_id for experiment_id in in_order if experiment_id in self.report.recorded_rows
        ]

    def _record_group(self, experiment: Experiment, group: list[CsvRow]) -> None:
        """Write the rows of one experiment; report what only the database can refuse (a completed experiment, too
        many variants) by row.
        """
        while group:
            counts = [row.counts for row in group]
            effects = row_changes(experiment.pk, counts) if self.observer else []
            try:
                recorded = record_events(
                    experiment_id=experiment.pk,
                    rows=counts,
                    today=self.today,
                    now=self.now,
                    source=None,
                    new_variants=self.new_variants,
                )
            except InvalidRowsError as error:
                group = self._without_refused(group, error)
            except DomainError as error:
                for row in group:
                    self._refuse(row, "experiment_id", str(error))
                return
            else:
                self._note(group, recorded)
                if self.observer:
                    lines = [row.line for row in group]
                    self.observer(experiment, list(zip(lines, effects, strict=True)))
                return

    def _without_refused(self, group: list[CsvRow], error: InvalidRowsError) -> list[CsvRow]:
        for index, issue in error.row_issues:
            self._refuse(group[index], issue.field, issue.message)
        bad = {index for index, _ in error.row_issues}
        return [row for index, row in enumerate(group) if index not in bad]

    def _refuse(self, row: CsvRow, column: str, message: str) -> None:
        self.report.add(RowIssue(row.line, self.names.get(column, column), message))
