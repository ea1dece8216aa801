"""The second reading of a file: writes the good rows."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from django.utils.translation import gettext as _

from experiments.exceptions import InvalidError, InvalidRowsError, Issue
from experiments.ingestion.closed import refusals_of
from experiments.ingestion.diff import RowChange, row_changes
from experiments.ingestion.new_names import NewVariants
from experiments.ingestion.record import Recorded, record_placed
from experiments.ingestion.upsert import PlacedCounts
from experiments.models import Experiment
from experiments.tables.importing.report import ImportReport
from experiments.tables.importing.row_kinds import CsvRow
from experiments.tables.issues import RowIssue

# Gets each group of recorded rows: their experiment, their lines and their changes.
Observer = Callable[[Experiment, list[tuple[int, RowChange]]], None]

_BATCH_ROWS = 5000
# For an observer what is stored is read beside each batch of totals, which may be all of an experiment's days.
_OBSERVED_ROWS = 50_000


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
    """Writes rows in batches and reports what only the database can refuse by line.

    ``are_checked``: each row is one that was checked, not a sum of several.
    """

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
        are_checked: bool,
    ) -> None:
        self.are_checked = are_checked
        self.today, self.now, self.experiments, self.report = today, now, experiments, report
        self._ids = {name: experiment.pk for name, experiment in experiments.items()}
        self.names, self.new_variants, self.observer = names, new_variants, observer

    def write(self, rows: Iterator[CsvRow]) -> None:
        most = _OBSERVED_ROWS if self.observer else _BATCH_ROWS
        while batch := list(islice(rows, most)):
            self._record(batch)

    def _record(self, batch: list[CsvRow]) -> None:
        """Write a batch; report by row what only the database can refuse: a completed experiment, too many variants."""
        rows = self._not_closed(batch)
        effects = self._effects(rows) if self.observer else {}
        while rows:
            try:
                recorded = record_placed(
                    rows=self._placed(rows),
                    today=self.today,
                    now=self.now,
                    new_variants=self.new_variants,
                    are_checked=self.are_checked,
                )
            except InvalidRowsError as error:
                rows = self._without_refused(rows, error)
                continue
            self._note(rows, recorded)
            self._show(rows, effects)
            return

    def _not_closed(self, batch: list[CsvRow]) -> list[CsvRow]:
        """Refuse the rows of experiments that take no events."""
        refusals = refusals_of(list({self._ids[name] for name in {row.experiment for row in batch}}))
        if not refusals:
            return batch
        rows = []
        for row in batch:
            if refusal := refusals.get(self._ids[row.experiment]):
                self._refuse(row, "experiment_id", str(refusal))
            else:
                rows.append(row)
        return rows

    def _effects(self, rows: list[CsvRow]) -> dict[int, RowChange]:
        """Compare rows with what is stored, by line."""
        if any(row.before is None for row in rows):
            changes = row_changes(self._placed(rows))
        else:
            # under the locks, as all that is read for the writing: nobody else has changed it since
            changes = [RowChange(row.counts, row.before) for row in rows]
        return {row.line: change for row, change in zip(rows, changes, strict=True)}

    def _placed(self, rows: list[CsvRow]) -> list[PlacedCounts]:
        return [(self._ids[row.experiment], row.counts) for row in rows]

    def _show(self, rows: list[CsvRow], effects: Mapping[int, RowChange]) -> None:
        if self.observer:
            for experiment, group in self._groups(rows):
                self.observer(experiment, [(row.line, effects[row.line]) for row in group])

    def _groups(self, rows: list[CsvRow]) -> Iterator[tuple[Experiment, list[CsvRow]]]:
        """Part rows by their experiment."""
        groups: defaultdict[int, list[CsvRow]] = defaultdict(list)
        for row in rows:
            groups[self._ids[row.experiment]].append(row)
        for group in groups.values():
            yield self.experiments[group[0].experiment], group

    def _note(self, rows: list[CsvRow], recorded: Recorded) -> None:
        """Count what was recorded; keep the experiments in the order in which the file names them."""
        self.report.values_capped += sum(row.capped for row in rows)
        for row in rows:
            self.report.recorded_rows[self._ids[row.experiment]] += row.rows
        self.report.processed_rows = self.report.recorded_rows.total()
        self.report.new_variants |= dict.fromkeys(recorded.new_variant_names)
        in_order = dict.fromkeys(self._ids.values())
        self.report.experiment_ids = [
            experiment_id for experiment_id in in_order if experiment_id in self.report.recorded_rows
        ]

    def _without_refused(self, group: list[CsvRow], error: InvalidRowsError) -> list[CsvRow]:
        for index, issue in error.row_issues:
            self._refuse(group[index], issue.field, issue.message)
        bad = {index for index, _ in error.row_issues}
        return [row for index, row in enumerate(group) if index not in bad]

    def _refuse(self, row: CsvRow, column: str, message: str) -> None:
        self.report.add(RowIssue(row.line, self.names.get(column, column), message))
