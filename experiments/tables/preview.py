"""Preview of a CSV: the import itself, run and rolled back."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import NamedTuple

from experiments.exceptions import InvalidError
from experiments.ingestion.diff import RowChange
from experiments.metrics import COUNTS, MEASURES, NO_TOTALS, Measure, Number
from experiments.models import Experiment
from experiments.tables.importing.importer import Target, import_table
from experiments.tables.importing.report import ImportOptions, ImportReport
from experiments.tables.reading.source import Table

# Lines of each kind: enough to see the effect of a file, without a page of a hundred thousand lines.
KEPT_LINES = 200
# Other experiments that are named: the button to record stands below them.
_NAMED_OTHERS = 10


class PreviewLine(NamedTuple):
    line: int
    effect: RowChange

    @property
    def numbers(self) -> list[tuple[Measure, Number | None, Number]]:
        """List every number of the row as it is stored and as it would be."""
        return self.effect.pairs_of(MEASURES)


class OtherRows(NamedTuple):
    """Rows of another experiment in the same file."""

    experiment: Experiment
    rows: int


@dataclass
class CsvPreview:
    """Effects of a file: ``lines`` and ``tally`` (rows by kind) on the experiment asked about, and ``others``.

    ``known``: its variants' names and keys before the file, which show the new ones.
    """

    experiment: Experiment
    known: frozenset[str]
    report: ImportReport = field(default_factory=lambda: ImportReport(0))
    lines: dict[str, list[PreviewLine]] = field(default_factory=lambda: {"changed": [], "added": []})
    tally: Counter[str] = field(default_factory=Counter)
    others: dict[int, OtherRows] = field(default_factory=dict)
    new_variants: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, experiment: Experiment) -> "CsvPreview":
        names = experiment.variants.values_list("key", "name")
        return cls(experiment, frozenset(chain.from_iterable(names)))

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Numbers to show: values where there are any, stored or coming in."""
        shown = [line.effect for lines in self.lines.values() for line in lines]
        totals = chain.from_iterable((effect.after, effect.before or NO_TOTALS) for effect in shown)
        return MEASURES if any(each.value_sum or each.value_squares for each in totals) else COUNTS

    @property
    def rows(self) -> int:
        """Number of rows of the experiment that would be recorded."""
        return self.tally.total()

    @property
    def first_others(self) -> list[OtherRows]:
        """List the first of the other experiments, to be named; ``more_others`` follow."""
        return list(islice(self.others.values(), _NAMED_OTHERS))

    @property
    def more_others(self) -> int:
        return max(0, len(self.others) - _NAMED_OTHERS)

    @property
    def other_rows(self) -> int:
        return sum(other.rows for other in self.others.values())

    @property
    def changes_nothing(self) -> bool:
        """True where all that could be recorded is recorded already. What other experiments have is not asked."""
        return bool(self.rows) and self.rows == self.tally["same"] and not self.others

    def observe(self, experiment: Experiment, lines: list[tuple[int, RowChange]]) -> None:
        if experiment != self.experiment:
            before = self.others.get(experiment.pk, OtherRows(experiment, 0))
            self.others[experiment.pk] = OtherRows(experiment, before.rows + len(lines))
            return
        names = dict.fromkeys(effect.row.variant_name for _line, effect in lines)
        self.new_variants |= {name: None for name in names if name not in self.known}
        kinds = [effect.kind for _line, effect in lines]
        self.tally.update(kinds)
        for kind, kept in self.lines.items():
            found = (PreviewLine(*one) for one, its in zip(lines, kinds, strict=True) if its == kind)
            kept.extend(islice(found, KEPT_LINES - len(kept)))


def preview_table(
    table: Table,
    *,
    experiment: Experiment,
    known: Mapping[str, str],
    options: ImportOptions,
    today: dt.date,
    now: dt.datetime,
) -> CsvPreview:
    """Preview the good rows of a file for this experiment, which knows what its headers mean, and for others; without
    them where they are too many to be recorded, too.
    """
    try:
        return _preview(table, Target(experiment, known=known), experiment, options, today, now)
    except InvalidError as error:
        if all(issue.code != "too_many_experiments" for issue in error.issues):
            raise
    return _preview(table, Target(experiment, only=True, known=known), experiment, options, today, now)


def _preview(
    table: Table,
    target: Target,
    experiment: Experiment,
    options: ImportOptions,
    today: dt.date,
    now: dt.datetime,
) -> CsvPreview:
    preview = CsvPreview.of(experiment)
    preview.report = import_table(
        table,
        today=today,
        now=now,
        options=replace(options, on_error="skip"),
        target=target,
        kept_issues=KEPT_LINES,
        dry_run=True,
        observer=preview.observe,
    )
    return preview
