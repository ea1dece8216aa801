"""The first reading of a file: problems of each row by itself and beside the others."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator

from django.utils.translation import gettext as _

from experiments.ingestion.validation import count_issues
from experiments.metrics import NO_TOTALS, NO_VALUE, DayTotals
from experiments.models import Experiment
from experiments.tables.issues import RowIssue, shown
from experiments.tables.references import References
from experiments.tables.report import ImportOptions, ImportReport
from experiments.tables.rows import BadRow, CsvRow, RowReader, is_total

Rows = Callable[[], Iterable[CsvRow | BadRow]]
_Day = tuple[object, dt.date]


class Check:
    """Judges all rows; afterwards ``good_rows`` are those to write.

    A 64-bit hash marks each place (experiment, day and variant), so that a million of them fit in memory.
    """

    def __init__(
        self,
        *,
        today: dt.date,
        options: ImportOptions,
        report: ImportReport,
        references: References,
        names: dict[str, str],
        only: Experiment | None,
    ) -> None:
        self.today, self.options, self.report = today, options, report
        self.references, self.names, self.only = references, names, only
        self.bad_lines: set[int] = set()
        # Every experiment that a good row names, in the order of the file.
        self.named: dict[str, None] = {}
        self._first_lines: dict[int, int] = {}
        self._repeated: set[int] = set()
        # Places with a row that is not taken: the sum of the others would be less than the day's total.
        self._broken: set[int] = set()
        self._totals: list[CsvRow] = []
        # By experiment as the file names it, what is wrong with the file for its goal.
        self._lacking: dict[str, str] = {}

    def read(self, rows: Rows) -> None:
        for row in rows():
            self._look_at(row)
        if self._totals:
            self._refuse_totals(rows)
        if self.options.repeated == "sum":
            self._refuse_broken_sums(rows)
        self.report.issues.sort(key=lambda issue: issue.line)

    def _look_at(self, row: CsvRow | BadRow) -> None:
        self.report.total_rows += 1
        if not self.is_wanted(row.experiment):
            self.report.left_out += 1
        elif isinstance(row, BadRow):
            self._look_at_bad(row)
        elif issues := list(self._issues(row)):
            self._refuse(row.line, issues)
            self._broken.add(self._place(row))
        else:
            self._claim(row)

    def _look_at_bad(self, row: BadRow) -> None:
        if row.place:
            self._broken.add(hash((self._identity(row.experiment), *row.place)))
        if row.has_blank:
            self.report.kinds["blank"] += 1
        if row.issues:
            self._refuse(row.line, row.issues)
        else:
            self.report.blank_skipped += 1

    def is_wanted(self, experiment: str) -> bool:
        if self.only is None or not experiment:
            return True
        found = self.references.find(experiment)
        return found is not None and found.pk == self.only.pk

    def good_rows(self, rows: Iterable[CsvRow | BadRow]) -> Iterator[CsvRow]:
        """Keep, on the second reading, the rows that are neither bad nor left out."""
        for row in rows:
            if isinstance(row, CsvRow) and row.line not in self.bad_lines and self.is_wanted(row.experiment):
                yield row

    def repeated_place(self, row: CsvRow) -> int | None:
        """Return the place of a row that is to be added to others; None for any other row."""
        if not self._repeated:
            return None
        place = self._place(row)
        return place if place in self._repeated else None

    def _refuse(self, line: int, issues: Iterable[RowIssue]) -> None:
        for issue in issues:
            self.report.add(issue)
        self.bad_lines.add(line)

    def rows_of(self, reader: RowReader) -> Iterator[CsvRow | BadRow]:
        """Read the rows; values without their squares only where the goal needs values."""
        if not reader.has_bare_values:
            yield from reader.rows()
            return
        for row in reader.rows():
            if isinstance(row, CsvRow) and row.counts.value_sum and not self._needs_values(row.experiment):
                yield row._replace(counts=row.counts._replace(value_sum=NO_VALUE))
            else:
                yield row

    def _needs_values(self, reference: str) -> bool:
        found = self.references.find(reference)
        return found is not None and found.goal.is_value

    def _issues(self, row: CsvRow) -> list[RowIssue]:
        found = [
            RowIssue(row.line, self.names.get(issue.field, issue.field), issue.message)
            for issue in count_issues(row.counts, self.today)
        ]
        if (problem := self.references.problem(row.experiment)) is not None:
            found.append(RowIssue(row.line, self.names.get("experiment_id", "experiment_id"), problem))
        if row.experiment not in self._lacking:
            self._lacking[row.experiment] = self._lacking_column(row.experiment)
        if lacking := self._lacking[row.experiment]:
            found.append(RowIssue(row.line, "file", lacking))
        return found

    def _lacking_column(self, reference: str) -> str:
        """Say which column the goal needs and the file lacks: its numbers would be stored as 0."""
        experiment = self.references.find(reference)
        if experiment is None:
            return ""
        needed = (experiment.goal.trials_count.name, experiment.goal.successes_count.name)
        column = next((name for name in needed if name not in self.names), None)
        message = _(
            "has no column %(column)s, which the goal of %(experiment)s needs; add it, with 0 where there was none"
        )
        return message % {"column": column, "experiment": experiment.key} if column else ""

    def _claim(self, row: CsvRow) -> None:
        """Let a good row claim its place."""
        self.named[row.experiment] = None
        place = self._place(row)
        first = self._first_lines.setdefault(place, row.line)
        if first != row.line:
            self._repetition(row, place, first)
        if is_total(row.counts.variant_name):
            self._totals.append(row)

    def _repetition(self, row: CsvRow, place: int, first: int) -> None:
        """Refuse all rows of a place, or note that they are to be added up. None of them alone is the day's total."""
        is_second = place not in self._repeated
        self._repeated.add(place)
        self.report.kinds["repeated"] += 1 + is_second
        if self.options.repeated == "sum":
            return
        message = _(
            "the same experiment, date and variant are on line %(line)s; remove one, or add them up (repeated=sum)"
        )
        column = self.names["variant_name"]
        if is_second:
            self._refuse(first, [RowIssue(first, column, message % {"line": row.line})])
        self._refuse(row.line, [RowIssue(row.line, column, message % {"line": first})])

    def _refuse_broken_sums(self, rows: Rows) -> None:
        """Refuse rows to be added up beside one that is not taken."""
        broken = self._broken & self._repeated
        if not broken:
            return
        message = _("cannot be added up: another row of this experiment, date and variant is refused")
        for row in self.good_rows(rows()):
            if self._place(row) in broken:
                self._refuse(row.line, [RowIssue(row.line, self.names["variant_name"], message)])

    def _refuse_totals(self, rows: Rows) -> None:
        """Refuse a row called Total, or the like, that holds the sum of its day's other rows."""
        sums: dict[_Day, DayTotals] = {self._day(row): NO_TOTALS for row in self._totals}
        for row in rows():
            if isinstance(row, CsvRow) and not is_total(row.counts.variant_name):
                day = self._day(row)
                if day in sums:
                    sums[day] = row.counts.plus(sums[day]).totals
        for row in self._totals:
            total = sums[self._day(row)].counts
            if row.counts.counts == total != NO_TOTALS.counts and row.line not in self.bad_lines:
                message = _(
                    "%(name)s is a row of totals: it holds the sum of the day's other rows; remove it"
                )
                said = message % {"name": shown(row.counts.variant_name)}
                self._refuse(row.line, [RowIssue(row.line, self.names["variant_name"], said)])

    def _day(self, row: CsvRow) -> _Day:
        return self._identity(row.experiment), row.counts.date

    def _place(self, row: CsvRow) -> int:
        return hash((self._identity(row.experiment), row.counts.date, row.counts.variant_name))

    def _identity(self, reference: str) -> object:
        """Return what an experiment is known by, whichever of its names a row has."""
        found = self.references.find(reference)
        return found.pk if found else reference
