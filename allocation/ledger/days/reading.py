"""The days of many experiments: those that a decision looks at, and how much data there is in all.

One statement reads all days that any window can reach from the target date. What is older is added up by the database,
and read only where an experiment's latest day lies so far back that its window begins before.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from allocation.ledger.days.statements import (
    DayColumns,
    MeasureColumns,
    Older,
    columns_of_days,
    columns_of_measures,
    older_days,
)
from allocation.ledger.table import DailyTable
from experiments.settings_schema import ALGORITHM_SETTINGS

_LONGEST_SPAN = int(ALGORITHM_SETTINGS["window_days"].high + ALGORITHM_SETTINGS["maturity_days"].high)


class DaysAsked(NamedTuple):
    """Which days of an experiment: ``span`` of them up to the latest with data, or all ``since`` an earlier date.

    ``variants``: the ids, in the order of the columns. ``has_older``: there may be days before ``first_read(date)``.
    """

    experiment_id: int
    variants: Sequence[int]
    span: int
    since: dt.date | None
    with_values: bool
    has_older: bool

    def table(self, columns: MeasureColumns | DayColumns) -> DailyTable:
        found = [columns.get(variant) for variant in self.variants]
        return DailyTable.of_columns(found, with_values=self.with_values)

    def first(self, latest: int) -> int:
        """The first day number, if ``latest`` is the last one with data."""
        reached = max(latest - self.span + 1, 1)
        return reached if self.since is None else min(reached, self.since.toordinal())


class DaysRead(NamedTuple):
    """``table``: the days asked for. Of the whole history: impressions before these, days with data, and of each
    variant (by id)."""

    table: DailyTable
    earlier_impressions: int
    days_with_data: int
    variant_days: Mapping[int, int]


def first_read(date: dt.date) -> dt.date:
    """The first day that a window can reach if there is data of ``date``."""
    return dt.date.fromordinal(max(date.toordinal() - _LONGEST_SPAN + 1, 1))


def read_days(
    asked: Sequence[DaysAsked], date: dt.date, columns: DayColumns | None = None
) -> dict[int, DaysRead]:
    """Read the days up to ``date`` of each experiment, by its id.

    ``columns``: those from ``first_read(date)`` on, where they have been read.
    """
    start = first_read(date)
    recent = _recent(asked, start, date, columns)
    older = older_days([one.experiment_id for one in asked if one.has_older], start)
    latest = {pk: _latest(table, older.get(pk)) for pk, table in recent.items()}
    further = _reaching_further(asked, latest, older, start)
    read = {}
    for one in asked:
        pk, last = one.experiment_id, latest[one.experiment_id]
        all_read = further[pk].followed_by(recent[pk]) if pk in further else recent[pk]
        cut = all_read.within(one.first(last) if last else 1, last)
        read[pk] = _summed(one, cut, recent[pk], older.get(pk, Older()))
    return read


def _recent(
    asked: Sequence[DaysAsked], start: dt.date, date: dt.date, columns: DayColumns | None
) -> dict[int, DailyTable]:
    """Read the days that a window can reach; counts come as columns, which Python need not look at row by row."""
    counted = [one for one in asked if not one.with_values]
    if columns is None:
        columns = columns_of_days([one.experiment_id for one in counted], start, date)
    tables = {one.experiment_id: one.table(columns) for one in counted}
    valued = [one for one in asked if one.with_values]
    measures = columns_of_measures([([one.experiment_id for one in valued], start, date)] if valued else [])
    return tables | {one.experiment_id: one.table(measures) for one in valued}


def _latest(recent: DailyTable, older: Older | None) -> int:
    """The last day number with impressions; 0 without any."""
    seen = recent.days[(recent.counts.impressions > 0).any(axis=1)]
    if seen.size:
        return int(seen[-1])
    return older.latest.toordinal() if older and older.latest else 0


def _reaching_further(
    asked: Sequence[DaysAsked],
    latest: Mapping[int, int],
    older: Mapping[int, Older],
    start: dt.date,
) -> dict[int, DailyTable]:
    """Read the days before ``start`` that are asked for, by experiment, from each one's own first day on."""
    windows: defaultdict[int, list[DaysAsked]] = defaultdict(list)
    for one in asked:
        pk = one.experiment_id
        if pk in older and (first := one.first(latest[pk])) < start.toordinal():
            windows[first].append(one)
    if not windows:
        return {}
    last = start - dt.timedelta(days=1)
    spans = [
        ([one.experiment_id for one in some], dt.date.fromordinal(first), last)
        for first, some in windows.items()
    ]
    columns = columns_of_measures(spans)
    return {one.experiment_id: one.table(columns) for some in windows.values() for one in some}


def _summed(one: DaysAsked, table: DailyTable, recent: DailyTable, older: Older) -> DaysRead:
    counted = recent.counts.impressions > 0
    total = older.impressions + int(recent.counts.impressions.sum())
    days = counted.sum(axis=0).tolist()
    return DaysRead(
        table=table,
        earlier_impressions=total - int(table.counts.impressions.sum()),
        days_with_data=older.days + int(counted.any(axis=1).sum()),
        variant_days={
            pk: n + older.variant_days.get(pk, 0) for pk, n in zip(one.variants, days, strict=True)
        },
    )
