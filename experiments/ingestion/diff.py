"""Comparison of rows with what is stored."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from experiments.metrics import MEASURE_NAMES, MEASURES, VALUE_NAMES, DailyCounts, DayTotals, Measure, Number
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
        return self.row.totals

    @property
    def pairs(self) -> list[tuple[Measure, Number | None, Number]]:
        """Each measure as stored and as it comes in."""
        both = zip(MEASURES, self.pairs_of(MEASURES), strict=True)
        return [(measure, before, after) for measure, (before, after) in both]

    @property
    def has_values(self) -> bool:
        """True where an amount is stored or comes in."""
        totals = [self.after] if self.before is None else [self.before, self.after]
        return any(getattr(total, name) for total in totals for name in VALUE_NAMES)

    def pairs_of(self, measures: Sequence[Measure]) -> list[tuple[Number | None, Number]]:
        """Each of these measures as stored and as it comes in."""
        return [
            (None if self.before is None else getattr(self.before, m.name), getattr(self.after, m.name))
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
