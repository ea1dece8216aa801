"""What rows would change of what is stored."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from experiments.ingestion.validation import DailyCounts
from experiments.models import DailyMetric

# Impressions, clicks, conversions.
Counts = tuple[int, int, int]


class RowChange(NamedTuple):
    """A row beside what is stored for its variant and day; None where nothing is."""

    row: DailyCounts
    before: Counts | None

    @property
    def kind(self) -> Literal["added", "changed", "same"]:
        if self.before is None:
            return "added"
        return "same" if self.before == self.after else "changed"

    @property
    def after(self) -> Counts:
        return self.row.impressions, self.row.clicks, self.row.conversions

    @property
    def pairs(self) -> list[tuple[int | None, int]]:
        """Impressions, clicks, conversions: what is stored and what comes."""
        return list(zip(self.before or (None,) * 3, self.after, strict=True))


def row_changes(experiment_id: int, rows: Sequence[DailyCounts]) -> list[RowChange]:
    """In the order of ``rows``; one query. A variant answers to its name and to its key."""
    days = {row.date for row in rows}
    stored = DailyMetric.objects.filter(
        variant__experiment_id=experiment_id, date__range=(min(days), max(days))
    )
    fields = ("variant__key", "variant__name", "date", "impressions", "clicks", "conversions")
    before: dict[tuple[str, object], Counts] = {}
    for key, name, date, *counts in stored.values_list(*fields):
        before[key, date] = before[name, date] = (counts[0], counts[1], counts[2])
    return [RowChange(row, before.get((row.variant_name, row.date))) for row in rows]
