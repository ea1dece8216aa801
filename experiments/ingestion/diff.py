"""Comparison of rows with what is stored."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from experiments.metrics import MEASURE_NAMES, DailyCounts, DayTotals, Measure, Number
from experiments.models import DailyMetric


class RowChange(NamedTuple):
    """A row and the totals stored for its variant and day; None where nothing is stored."""

    row: DailyCounts
    before: DayTotals | None

    @property
    def kind(self) -> Literal["added", "changed", "same"]:
        if self.before is None:
            return "added"
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


def row_changes(experiment_id: int, rows: Sequence[DailyCounts]) -> list[RowChange]:
    """Compare rows with what is stored, in their order; one query. A variant answers to its name and key."""
    days = {row.date for row in rows}
    stored = DailyMetric.objects.filter(
        variant__experiment_id=experiment_id, date__range=(min(days), max(days))
    )
    before: dict[tuple[str, object], DayTotals] = {}
    for key, name, date, *totals in stored.values_list(
        "variant__key", "variant__name", "date", *MEASURE_NAMES
    ):
        before[key, date] = before[name, date] = DayTotals(*totals)
    return [RowChange(row, before.get((row.variant_name, row.date))) for row in rows]
