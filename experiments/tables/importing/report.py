"""The choices of an import, and the report of what it did."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from django.utils.translation import gettext as _

from experiments.exceptions import MAX_ISSUES, Issue
from experiments.ingestion.new_names import NewVariants
from experiments.tables.importing.rows import Blank
from experiments.tables.issues import RowIssue
from experiments.tables.reading.dates import DateOrder, DatesRead
from experiments.tables.ways_in import ADVICE, Advice, WayIn

OnError = Literal["reject", "skip"]
# What happens to rows of one experiment, day and variant.
Repeated = Literal["refuse", "sum"]


@dataclass(frozen=True)
class ImportOptions:
    """Choices for loading a file; each default refuses what could be a mistake.

    ``create`` makes experiments that are missing. ``way_in`` names the choices as who sent the file knows them.
    """

    on_error: OnError = "reject"
    blank: Blank = "refuse"
    repeated: Repeated = "refuse"
    new_variants: NewVariants = "create"
    create: bool = False
    date_order: DateOrder = "detect"
    way_in: WayIn = "v1"

    @property
    def advice(self) -> Advice:
        return ADVICE[self.way_in]


@dataclass
class ImportReport:
    """Result of an import. ``issues`` keeps the first ``kept_issues`` of ``total_issues``.

    ``left_out``: rows of experiments other than the only one asked for; ``blank_skipped``: rows left out for a blank
    cell. Both count as neither good nor bad. ``has_orders``: each line is an order; ``values_capped``: orders above the
    experiment's cap. ``recorded_rows``: those of each experiment, by its id. ``kinds`` counts the rows that another
    choice would take: those with a blank cell, and those repeated. ``of_experiments``: problems of experiments,
    on line 0 where each of their rows has them. ``dates``: how they were read.
    """

    kept_issues: int = MAX_ISSUES
    total_rows: int = 0
    processed_rows: int = 0
    left_out: int = 0
    blank_skipped: int = 0
    values_capped: int = 0
    total_issues: int = 0
    issues: list[RowIssue] = field(default_factory=list)
    experiment_ids: list[int] = field(default_factory=list)
    recorded_rows: Counter[int] = field(default_factory=Counter)
    new_variants: dict[str, None] = field(default_factory=dict)
    ignored_columns: list[str] = field(default_factory=list)
    encoding: str = ""
    of_experiments: set[RowIssue] = field(default_factory=set)
    has_orders: bool = False
    kinds: Counter[Literal["blank", "repeated"]] = field(default_factory=Counter)
    dates: DatesRead = field(default_factory=DatesRead)

    @property
    def is_full(self) -> bool:
        """True where no more problems are described, only counted: of a file that is rejected nothing more is read,
        and of one whose bad rows are skipped each counts as one.
        """
        return self.total_issues >= MAX_ISSUES

    def add(self, issue: RowIssue) -> None:
        self.total_issues += 1
        if len(self.issues) < self.kept_issues:
            self.issues.append(issue)

    def add_once(self, issue: RowIssue) -> None:
        """Add a problem of an experiment as a whole, whatever the file calls it."""
        if issue not in self.of_experiments:
            self.of_experiments.add(issue)
            self.add(issue)

    def end_with(self, issue: RowIssue) -> None:
        """Make this the last problem that can be described, in place of those of its own row that are too many."""
        self.total_issues = min(self.total_issues, MAX_ISSUES - 1)
        del self.issues[MAX_ISSUES - 1 :]
        self.add(issue)

    @property
    def refused_rows(self) -> int:
        """Rows that were refused, where the good ones were recorded."""
        return self.total_rows - self.left_out - self.blank_skipped - self.processed_rows

    @property
    def has_loaded(self) -> bool:
        return self.processed_rows > 0

    def refusals(self) -> list[Issue]:
        """Name why nothing was loaded."""
        if not self.issues:
            return [Issue("file", "nothing_loaded", self._why_nothing())]
        return [
            Issue(f"line {issue.line}, {issue.column}", "bad_row", issue.message) for issue in self.issues
        ]

    def _why_nothing(self) -> str:
        if not self.total_rows:
            return _("the file holds no row under its header")
        if self.left_out:
            return _("nothing was loaded: the rows are of other experiments")
        return _("nothing was loaded: every row has a blank cell and is left out")

    def forget_written(self) -> None:
        """Take back what was counted as written: all of it was rolled back."""
        self.processed_rows, self.experiment_ids, self.new_variants = 0, [], {}
        self.values_capped = 0
        self.recorded_rows.clear()
