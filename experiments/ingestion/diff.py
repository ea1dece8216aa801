"""Comparison of rows with what is stored."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from django.db.models import CharField
from django.db.models.functions import Cast

from experiments.ingestion.upsert import PlacedCounts, ids_by_name, variants_of
from experiments.metrics import MEASURE_NAMES, DailyCounts, DayTotals, Measure, Number
from experiments.models import DailyMetric

# Django makes a day of each date that SQLite has, which takes longer than the query.
DAY_AS_TEXT = Cast("date", CharField())


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
    """Compare rows, each beside its experiment's id, with what is stored, in their order; two queries. A variant
    answers to its name and key.
    """
    days = {row.date for _pk, row in placed}
    names = {(pk, row.variant_name) for pk, row in placed}
    known = variants_of(list({pk for pk, _row in placed}))
    # a file in the order of its variants has few of them beside all days, one in the order of days the other way round
    variants = [pk for e, pk, key, name, _ in known if (e, key) in names or (e, name) in names]
    first, last = min(days), max(days)
    # one correction of a day long past does not read all that has come since
    dates = {"date__range": (first, last)} if len(days) > (last - first).days else {"date__in": days}
    stored = DailyMetric.objects.filter(variant__in=variants, **dates)
    before = {found[:2]: found[2:] for found in stored.values_list("variant_id", DAY_AS_TEXT, *MEASURE_NAMES)}
    ids, written = ids_by_name(known), {date: date.isoformat() for date in days}
    places = ((ids.get((pk, row.variant_name), 0), written[row.date]) for pk, row in placed)
    return [
        RowChange(row, None if (totals := before.get(place)) is None else DayTotals(*totals))
        for (_pk, row), place in zip(placed, places, strict=True)
    ]
