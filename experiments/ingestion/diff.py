"""Comparison of rows with what is stored."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from experiments.ingestion.stored import stored_totals
from experiments.ingestion.upsert import PlacedCounts
from experiments.metrics import DailyCounts, DayTotals, Measure, Number


class RowChange(NamedTuple):
    """A row and the totals stored for its variant and day; None where nothing is stored."""

    row: DailyCounts
    before: DayTotals | None

    @property
    def kind(self) -> Literal["added", "changed", "same"]:
        if self.before is None:
            return "added"
        # most files are of one kind, which is seen without the whole of both
        if self.row[2:5] != self.before[:3]:
            return "changed"
        return "same" if self.before == self.after else "changed"

    @property
    def after(self) -> DayTotals:
        """Totals once the row is recorded; values that it does not give stay."""
        if self.before is None or self.row.has_values:
            return self.row.totals
        return self.row.with_values(self.before).totals

    def pairs_of(self, measures: Sequence[Measure]) -> list[tuple[Measure, Number | None, Number]]:
        """Each of these measures as stored and as it is once the row is recorded."""
        return [
            (m, None if self.before is None else getattr(self.before, m.name), getattr(self.after, m.name))
            for m in measures
        ]


def row_changes(placed: Sequence[PlacedCounts]) -> list[RowChange]:
    """Compare rows, each beside its experiment's id, with what is stored, in their order."""
    return [RowChange(row, before) for (_pk, row), before in zip(placed, stored_totals(placed), strict=True)]
