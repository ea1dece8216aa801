"""Rows that hold the sum of others: their names tell which may, their numbers which do."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from django.utils.translation import gettext as _

from experiments.metrics import NO_TOTALS, DayTotals
from experiments.tables.importing.references import References
from experiments.tables.importing.row_kinds import BadRow, CsvRow
from experiments.tables.issues import shown
from experiments.tables.reading.total_names import is_all, is_total

# What a row may be the sum of: an experiment's day, all its days, or the file.
Span = tuple[object, dt.date | None]


class Totals:
    """Judges ``rows`` whose names are those of totals."""

    def __init__(self, references: References) -> None:
        self.rows: list[CsvRow] = []
        self._references = references

    def keep(self, rows: Sequence[CsvRow]) -> None:
        """Keep the rows that may hold the sum of others, until all are known."""
        marks = {(row.experiment, row.counts.variant_name) for row in rows}
        if suspects := {mark for mark in marks if self._suspects(*mark)}:
            self.rows += [row for row in rows if (row.experiment, row.counts.variant_name) in suspects]

    def _suspects(self, experiment: str, name: str) -> bool:
        """Say whether a row of this name may hold the sum of others; a variant that is known may be called All."""
        if is_total(name):
            return True
        return is_all(name) and name not in self._references.identity(experiment).variants

    def problems(self, rows: Iterable[CsvRow | BadRow], doubtful: Set[Span]) -> Iterator[tuple[CsvRow, str]]:
        """Say of each that holds the sum of other rows, or may hold it, why it is refused.

        ``rows``: all of the file; ``doubtful``: days with a row that cannot be read.
        """
        sums, own = self._sums(rows), self._added_up()
        holds = [self._holds(row, sums, own) for row in self.rows]
        # what is a sum on one day is none of its own on a day on which the numbers differ
        sure = {self._name(row) for row, held in zip(self.rows, holds, strict=True) if any(held)}
        for row, held in zip(self.rows, holds, strict=True):
            if said := self._problem(row, held, doubtful, is_sure=self._name(row) in sure):
                yield row, said % {"name": shown(row.counts.variant_name)}

    def _holds(
        self, row: CsvRow, sums: Mapping[Span, DayTotals], own: Mapping[object, DayTotals]
    ) -> Sequence[bool]:
        """Tell of each of its spans if a row holds the sum of the others, alone or with those of its name and day."""
        held = {row.counts.counts, own[self._mark(row)].counts} - {NO_TOTALS.counts}
        return [sums[span].counts in held for span in self._spans(row)]

    def _sums(self, rows: Iterable[CsvRow | BadRow]) -> Mapping[Span, DayTotals]:
        """Add up the other rows of what each may be the sum of."""
        sums: dict[Span, DayTotals] = {span: NO_TOTALS for row in self.rows for span in self._spans(row)}
        for row in rows:
            if isinstance(row, CsvRow) and not self._suspects(row.experiment, row.counts.variant_name):
                for span in self._spans(row):
                    if span in sums:
                        sums[span] = row.counts.plus(sums[span]).totals
        return sums

    def _added_up(self) -> Mapping[object, DayTotals]:
        """Add up those of one name and day: a report by device has a row of totals for each."""
        own: defaultdict[object, DayTotals] = defaultdict(lambda: NO_TOTALS)
        for row in self.rows:
            mark = self._mark(row)
            own[mark] = row.counts.plus(own[mark]).totals
        return own

    def _problem(self, row: CsvRow, holds: Sequence[bool], doubtful: Set[Span], *, is_sure: bool) -> str:
        """Say why a row is refused; "" where it is taken. ``is_sure``: one of this name holds the sum of others."""
        known, name = self._references.identity(row.experiment), row.counts.variant_name
        unknown = _(
            "%(name)s may be a row of totals, and the experiment has no such variant: remove it, or add a variant of "
            "this name first"
        )
        if not is_total(name) and is_sure:
            return unknown
        if holds[0]:
            return _("%(name)s is a row of totals: it holds the sum of the day's other rows; remove it")
        if any(holds):
            return _("%(name)s is a row of totals: it holds the sum of the file's other rows; remove it")
        if not doubtful.isdisjoint([(known.experiment, row.counts.date), (known.experiment, None)]):
            return _(
                "%(name)s may be a row of totals: other rows of the day are not taken, so that it cannot be compared "
                "with their sum; remove it, or complete those"
            )
        # a report that counts a person once has less in all than in its rows
        return unknown if is_total(name) and name not in known.variants else ""

    def _spans(self, row: CsvRow) -> tuple[Span, ...]:
        """List what a row may be the sum of."""
        identity = self._references.identity(row.experiment).experiment
        return (identity, row.counts.date), (identity, None), (None, None)

    def _name(self, row: CsvRow) -> object:
        return self._references.identity(row.experiment).experiment, row.counts.variant_name

    def _mark(self, row: CsvRow) -> object:
        return self._spans(row)[0], row.counts.variant_name
