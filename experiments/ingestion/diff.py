"""Comparison of rows with what is stored."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from experiments.metrics import COUNT_NAMES, Counts, DailyCounts
from experiments.models import DailyMetric


class RowChange(NamedTuple):
    """A row and the counts stored for its variant and day; None where nothing is stored."""

    row: DailyCounts
    before: Counts[int] | None

    @property
    def kind(self) -> Literal["added", "changed", "same"]:
        if self.before is None:
            return "added"
        return "same" if self.before == self.after else "changed"

    @property
    def after(self) -> Counts[int]:
        return self.row.counts

    @property
    def pairs(self) -> list[tuple[int | None, int]]:
        """Each count as stored and as it comes in."""
        return list(zip(self.before or (None,) * len(COUNT_NAMES), self.after, strict=True))


def row_changes(experiment_id: int, rows: Sequence[DailyCounts]) -> list[RowChange]:
    """Compare rows with what is stored, in their order; one query. A variant answers to its name and key."""
    days = {row.date for row in rows}
    stored = DailyMetric.objects.filter(
        variant__experiment_id=experiment_id, date__range=(min(days), max(days))
    )
    before: dict[tuple[str, object], Counts[int]] = {}
    for key, name, date, *counts in stored.values_list("variant__key", "variant__name", "date", *COUNT_NAMES):
        before[key, date] = before[name, date] = Counts(*counts)
    return [RowChange(row, before.get((row.variant_name, row.date))) for row in rows]
