"""The first reading of a file: problems of each row by itself and beside the others."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import cast

from django.utils.translation import gettext as _

from experiments.exceptions import MAX_ISSUES
from experiments.ingestion.new_names import NewNames
from experiments.ingestion.validation import count_issues, has_plain_issue, have_no_issues
from experiments.models import Experiment
from experiments.tables.importing.blocks import in_blocks
from experiments.tables.importing.orders import without_impressions
from experiments.tables.importing.references import References
from experiments.tables.importing.report import ImportOptions, ImportReport
from experiments.tables.importing.row_kinds import UNSAID, BadRow, CsvRow
from experiments.tables.importing.rows import ORDER_VALUE, RowReader
from experiments.tables.importing.totals import Span, Totals
from experiments.tables.issues import RowIssue, shown
from experiments.tables.reading.bounds import Bounds
from experiments.tables.reading.total_names import is_none, is_total
from experiments.text import format_number

Rows = Callable[[], Iterable[CsvRow | BadRow]]


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
        header_line: int,
        only: Experiment | None,
        bounds: Bounds | None,
    ) -> None:
        self.today, self.options, self.report = today, options, report
        self.references, self.names, self.only = references, names, only
        self._header_line = header_line
        self._bounds = bounds
        self.bad_lines: set[int] = set()
        # Every experiment that a good row names, in the order of the file.
        self.named: dict[str, None] = {}
        self._first_lines: dict[int, int] = {}
        # How many good rows each place has that has several.
        self.repeated: dict[int, int] = {}
        # Places with a row that is not taken: the others, alone or added up, would be less than the day's total.
        self._broken: set[int] = set()
        # Days with a row that cannot be read: the sum of the others is not that of the day.
        self._doubtful: set[Span] = set()
        self._totals = Totals(references)
        # By experiment as the file names it, whether the file lacks a column that its goal needs.
        self._lacking: dict[str, bool] = {}
        # Of names that no variant has: who judges those of an experiment, and what was said of each.
        self._new_names: dict[object, NewNames] = {}
        self._judged: dict[tuple[str, str], str] = {}

    def read(self, rows: Rows) -> None:
        """Judge every row; of a file that is rejected anyway, no more than have the problems that can be answered."""
        if self._read_to_the_end(rows()):
            self._refuse_many_experiments()
            self._compare(rows)
        self.report.issues.sort(key=lambda issue: issue.line)

    def _read_to_the_end(self, rows: Iterable[CsvRow | BadRow]) -> bool:
        for block in in_blocks(rows):
            for kind, found in groupby(block, type):
                run = list(found)
                if kind is CsvRow and self._could_claim(cast(list[CsvRow], run)):
                    continue
                for row in run:
                    self._look_at(row)
                    if self.options.on_error == "reject" and self.report.total_issues >= MAX_ISSUES - 1:
                        self.report.end_with(RowIssue(row.line, "file", _too_many()))
                        return False
        return True

    def _could_claim(self, rows: Sequence[CsvRow]) -> bool:
        """Let rows claim their places at once, where all are good; False where one of them needs a look of its own, as
        the first good row of an experiment does.
        """
        lines, references, counts, numbers, *_more = zip(*rows, strict=True)
        if not self.named.keys() >= set(references) or not have_no_issues(counts, self.today):
            return False
        names = [row.variant_name for row in counts]
        if not self._take_names(references, names):
            return False
        known = {reference: self.references.identity(reference) for reference in set(references)}
        places = [
            hash((known[reference].experiment, row.date, known[reference].variants.get(name, name)))
            for reference, row, name in zip(references, counts, names, strict=True)
        ]
        if len(set(places)) < len(places) or not self._first_lines.keys().isdisjoint(places):
            return False
        self._first_lines.update(zip(places, lines, strict=True))
        self._totals.keep(rows)
        self.report.total_rows += sum(numbers)
        return True

    def _take_names(self, references: Sequence[str], names: Sequence[str]) -> bool:
        """Tell if the names of rows that are good otherwise can be taken."""
        if ORDER_VALUE in self.names:
            # good counts of orders have impressions, as each order is a conversion: those of a variant that there is
            return True
        marks = dict.fromkeys(zip(references, names, strict=True))
        return not any(self._said_of(*mark, is_good=True) for mark in marks)

    def _refuse_many_experiments(self) -> None:
        if self._bounds:
            self._bounds.refuse_many_experiments(self.report.total_rows, self.references.count)

    def _compare(self, rows: Rows) -> None:
        """Refuse, once all rows are known, those that are sums or parts of others."""
        if self._totals.rows:
            self._refuse_totals(rows)
        if not self._broken.isdisjoint(self._first_lines):
            self._refuse_parts(rows)

    def _look_at(self, row: CsvRow | BadRow) -> None:
        lines = row.rows if isinstance(row, CsvRow) else 1
        self.report.total_rows += lines
        if not self.is_wanted(row.experiment):
            self.report.left_out += lines
        elif isinstance(row, BadRow):
            self._look_at_bad(row)
        elif self.report.is_full and self._is_plainly_bad(row):
            self._refuse(row.line, UNSAID)
            self._break_place(row.experiment, row.counts.date, row.counts.variant_name)
        elif issues := list(self._issues(row)):
            self._refuse(row.line, issues)
            self._break_place(row.experiment, row.counts.date, row.counts.variant_name)
        elif self._lacking.get(row.experiment):
            self.bad_lines.add(row.line)
        else:
            self._claim(row)

    def _is_plainly_bad(self, row: CsvRow) -> bool:
        """Tell of a row that is not of orders if it is refused for its experiment, its date or its counts."""
        if ORDER_VALUE in self.names:
            return False
        return not self.references.may_know(row.experiment) or has_plain_issue(row.counts, self.today)

    def _look_at_bad(self, row: BadRow) -> None:
        self._doubtful.add((self._identity(row.experiment), row.place and row.place[0]))
        if row.place:
            self._break_place(row.experiment, *row.place)
        if row.has_blank:
            self.report.kinds["blank"] += 1
        if row.issues:
            self._refuse(row.line, [*row.issues, *self._names_of_bad(row)])
        else:
            self.report.blank_skipped += 1

    def _names_of_bad(self, row: BadRow) -> list[RowIssue]:
        """Judge the name of a row that is described."""
        if row.place is None or row.issues is UNSAID:
            return []
        return self._name_issues(row.line, row.experiment, row.place[1])

    def is_wanted(self, experiment: str) -> bool:
        if self.only is None or not experiment:
            return True
        if not _may_name(experiment, self.only):
            return False  # a file may name very many others
        found = self.references.find(experiment)
        return found is not None and found.pk == self.only.pk

    def good_rows(self, rows: Iterable[CsvRow | BadRow]) -> Iterator[CsvRow]:
        """Keep, on the second reading, the rows that are neither bad nor left out."""
        wanted: dict[str, bool] = {}
        for row in rows:
            if isinstance(row, CsvRow) and row.line not in self.bad_lines:
                if row.experiment not in wanted:
                    wanted[row.experiment] = self.is_wanted(row.experiment)
                if wanted[row.experiment]:
                    yield row

    def repeated_place(self, row: CsvRow) -> int | None:
        """Return the place of a row that is to be added to others; None for any other row."""
        if not self.repeated:
            return None
        place = self._place(row)
        return place if place in self.repeated else None

    def _refuse(self, line: int, issues: Iterable[RowIssue]) -> None:
        for issue in islice(issues, 1) if self.report.is_full else issues:
            self.report.add(issue)
        self.bad_lines.add(line)

    def rows_of(self, reader: RowReader) -> Iterator[CsvRow | BadRow]:
        """Read the rows; values without their squares only where the goal needs values."""
        rows = reader.rows(lambda: self.report.is_full)
        if not reader.has_bare_values:
            yield from rows
            return
        for row in rows:
            if isinstance(row, CsvRow) and not self._needs_values(row.experiment):
                yield row._replace(counts=row.counts._replace(value_sum=None))
            else:
                yield row

    def _needs_values(self, reference: str) -> bool:
        found = self.references.find(reference)
        return found is not None and found.goal.is_value

    def _issues(self, row: CsvRow) -> list[RowIssue]:
        if ORDER_VALUE in self.names:
            return self._order_issues(row)
        found = [*self._row_issues(row), *self._reference_issues(row)]
        if row.experiment not in self._lacking:
            self._lacking[row.experiment] = self._lacks_columns(row.experiment)
        found += self._name_issues(row.line, row.experiment, row.counts.variant_name, is_good=not found)
        return found

    def _order_issues(self, row: CsvRow) -> list[RowIssue]:
        """Name what is wrong with orders of a day, beside which there must be impressions."""
        if found := self._reference_issues(row):
            return found
        name = row.counts.variant_name
        if row.counts.impressions:
            return self._row_issues(row)
        if found := self._name_issues(row.line, row.experiment, name):
            return found
        message = _("%(name)s is a row of totals; remove it") % {"name": shown(name)}
        problem = message if is_total(name) else without_impressions(row)
        return [RowIssue(row.line, self.names["variant_name"], problem)]

    def _row_issues(self, row: CsvRow) -> list[RowIssue]:
        return [
            RowIssue(row.line, self.names.get(issue.field, issue.field), issue.message)
            for issue in count_issues(row.counts, self.today)
        ]

    def _reference_issues(self, row: CsvRow) -> list[RowIssue]:
        problem = self.references.problem(row.experiment)
        column = self.names.get("experiment_id", "experiment_id")
        return [] if problem is None else [self._issue_of_experiment(row.line, column, problem)]

    def _issue_of_experiment(self, line: int, column: str, problem: str) -> RowIssue:
        """Build a problem that each row of an experiment has."""
        self.report.of_experiments.add(RowIssue(0, column, problem))
        return RowIssue(line, column, problem)

    def _name_issues(self, line: int, experiment: str, name: str, *, is_good: bool = False) -> list[RowIssue]:
        """Refuse a name that cannot become a variant; that of a row which ``is_good`` is known from then on."""
        said = self._said_of(experiment, name, is_good=is_good)
        return [RowIssue(line, self.names["variant_name"], said)] if said else []

    def _said_of(self, experiment: str, name: str, *, is_good: bool) -> str:
        """Judge a name once."""
        mark = (experiment, name)
        if (said := self._judged.get(mark)) is None:
            said = self._judge(experiment, name, is_good=is_good)
            if said or is_good:
                self._judged[mark] = said
        return said

    def _judge(self, experiment: str, name: str, *, is_good: bool) -> str:
        """Say why a name cannot become a variant, if it is none; "" where it can."""
        known = self.references.identity(experiment)
        if name in known.variants or (self.references.problem(experiment) and not known.variants):
            return ""  # an experiment that there is not has no variants to list
        if is_none(name):
            message = _(
                "%(name)s stands for what has no variant: remove the row, or add a variant of this name first"
            )
            return message % {"name": shown(name)}
        judge = self._judge_of(experiment)
        issue = judge.problem(name)
        if issue is None and is_good:
            judge.take(name)
        return issue.message if issue else ""

    def _judge_of(self, experiment: str) -> NewNames:
        known = self.references.identity(experiment)
        if known.experiment not in self._new_names:
            is_closed = self.options.new_variants == "refuse" or known.has_fixed_variants
            keys = [*known.variants.values()]
            self._new_names[known.experiment] = NewNames(known.variant_names, keys, is_closed=is_closed)
        return self._new_names[known.experiment]

    def _break_place(self, experiment: str, date: dt.date, name: str) -> None:
        """Note a row that is not taken: its place, and that of the variant whose name it looks like."""
        if not self.references.may_know(experiment):
            return  # no row of it is taken
        self._broken.add(self._place_of(experiment, date, name))
        if name not in self.references.identity(experiment).variants:
            self._broken.add(self._place_of(experiment, date, self._judge_of(experiment).like(name)))

    def _lacks_columns(self, reference: str) -> bool:
        """Refuse a file without a column that the goal needs, once: its numbers would be stored as 0."""
        experiment = self.references.find(reference)
        if experiment is None:
            return False
        # values without their squares are refused where there are any
        is_given = experiment.goal.successes_count.name in self.names
        missing = [] if is_given else [name for name in experiment.goal.columns if name not in self.names]
        message = _(
            "is not in the file, and the goal of %(experiment)s needs it: add it, with 0 where there was none"
        )
        for name in missing:
            self.report.add_once(RowIssue(self._header_line, name, message % {"experiment": experiment.key}))
        return bool(missing)

    def _claim(self, row: CsvRow) -> None:
        """Let a good row claim its place."""
        if row.experiment not in self.named:
            self.named[row.experiment] = None
            self._refuse_many_experiments()
        place = self._place(row)
        first = self._first_lines.setdefault(place, row.line)
        if first != row.line:
            self._repetition(row, place, first)
        self._totals.keep([row])

    def _repetition(self, row: CsvRow, place: int, first: int) -> None:
        """Refuse all rows of a place, or note that they are to be added up. None of them alone is the day's total."""
        is_second = place not in self.repeated
        self.repeated[place] = self.repeated.get(place, 1) + 1
        self.report.kinds["repeated"] += 1 + is_second
        if self.options.repeated == "sum":
            return
        message = str(self.options.advice.repeated)
        column = self.names["variant_name"]
        if is_second:
            self._refuse(first, [RowIssue(first, column, message % {"line": row.line})])
        self._refuse(row.line, [RowIssue(row.line, column, message % {"line": first})])

    def _refuse_parts(self, rows: Rows) -> None:
        """Refuse good rows beside one of their place that is not taken: they are a part of the day's total."""
        message = _(
            "is only a part of the day: another row of this experiment, date and variant is not taken; correct that one"
        )
        for row in self.good_rows(rows()):
            if self._place(row) in self._broken:
                self._refuse(row.line, [RowIssue(row.line, self.names["variant_name"], message)])

    def _refuse_totals(self, rows: Rows) -> None:
        """Refuse a row called Total, or the like, that holds the sum of other rows, or may hold it."""
        for row, said in self._totals.problems(rows(), self._doubtful):
            self._broken.add(self._place(row))
            if row.line not in self.bad_lines:
                self._refuse(row.line, [RowIssue(row.line, self.names["variant_name"], said)])

    def _place(self, row: CsvRow) -> int:
        return self._place_of(row.experiment, row.counts.date, row.counts.variant_name)

    def _place_of(self, reference: str, date: dt.date, variant: str) -> int:
        known = self.references.identity(reference)
        return hash((known.experiment, date, known.variants.get(variant, variant)))

    def _identity(self, reference: str) -> object:
        return self.references.identity(reference).experiment


def _may_name(reference: str, experiment: Experiment) -> bool:
    """Tell at no cost of most texts that they are none of an experiment's names."""
    text = reference.replace("\x00", "")
    return text in {experiment.key, experiment.name} or text.isdecimal()


def _too_many() -> str:
    said = _("has more than %(most)s problems: rows after this line were not read; correct these first")
    return said % {"most": format_number(MAX_ISSUES, 0)}
