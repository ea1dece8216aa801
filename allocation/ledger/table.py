"""Daily counts in columns: the dates once, and for each number an array for each variant."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from experiments.metrics import COUNT_NAMES, VALUE_NAMES, Counts, Measures

# A date, a variant's id and its counts, in the order of COUNT_NAMES.
MetricRow = tuple[Any, ...]

Numbers = NDArray[np.int64]


class Values(NamedTuple):
    """Sums of values and of their squares, (D, K); the names are those of VALUE_NAMES."""

    value_sum: NDArray[np.float64]
    value_squares: NDArray[np.float64]


class DailyTable(NamedTuple):
    """Daily counts in columns: ``days`` (D,) day numbers, rising; each count (D, K), 0 where a variant has no row.

    ``values``: where they were read, for a goal of value.
    """

    days: NDArray[np.int64]
    counts: Counts[NDArray[np.int64]]
    values: Values | None = None

    @property
    def measures(self) -> Measures[NDArray[np.float64]]:
        """Every column as numbers that the engine takes; values of 0 where none were read."""
        counts = [column.astype(np.float64) for column in self.counts]
        return Measures(*counts, *(self.values or [np.zeros_like(counts[0])] * len(VALUE_NAMES)))

    @property
    def dates(self) -> list[dt.date]:
        return [dt.date.fromordinal(day) for day in self.days.tolist()]

    def between(self, start: dt.date, end: dt.date) -> "DailyTable":
        """The days from ``start`` to ``end``, both inside."""
        return self.within(start.toordinal(), end.toordinal())

    def within(self, first: int, last: int) -> "DailyTable":
        """The days with these numbers, both inside."""
        if self.days.size and first <= self.days[0] and self.days[-1] <= last:
            return self
        inside = (self.days >= first) & (self.days <= last)
        values = None if self.values is None else Values(*(column[inside] for column in self.values))
        return DailyTable(self.days[inside], Counts(*(column[inside] for column in self.counts)), values)

    def followed_by(self, later: "DailyTable") -> "DailyTable":
        """These days and later ones of the same variants, all of them after these."""
        counts = Counts(*map(_one_under_another, self.counts, later.counts))
        values = self.values and later.values and Values(*map(_one_under_another, self.values, later.values))
        return DailyTable(np.concatenate([self.days, later.days]), counts, values)

    def to_json(self) -> dict[str, Any]:
        first = int(self.days[0]) if self.days.size else None
        return {
            "first_date": None if first is None else dt.date.fromordinal(first).isoformat(),
            "days": [] if first is None else (self.days - first).tolist(),
            **{name: column.T.tolist() for name, column in zip(COUNT_NAMES, self.counts, strict=True)},
            **(
                {name: column.T.tolist() for name, column in self.values._asdict().items()}
                if self.values
                else {}
            ),
        }

    @classmethod
    def from_json(cls, recorded: Mapping[str, Any], variants: int) -> "DailyTable":
        first = recorded["first_date"]
        start = 0 if first is None else dt.date.fromisoformat(first).toordinal()
        days = np.array(recorded["days"], dtype=np.int64) + start
        shape = (variants, len(days))
        columns = (np.array(recorded[name], dtype=np.int64).reshape(shape).T for name in COUNT_NAMES)
        values = (np.array(recorded.get(name, []), dtype=np.float64) for name in VALUE_NAMES)
        has_values = VALUE_NAMES[0] in recorded
        return cls(
            days, Counts(*columns), Values(*(v.reshape(shape).T for v in values)) if has_values else None
        )

    @classmethod
    def of_columns(
        cls, variants: Sequence[Sequence[NDArray[Any]] | None], *, with_values: bool = False
    ) -> "DailyTable":
        """From the columns of each variant: day numbers in any order, and the counts beside them, then values if they
        are asked for; None without data.
        """
        if (alike := cls._of_alike(variants, with_values)) is not None:
            return alike
        known = [(place, columns) for place, columns in enumerate(variants) if columns is not None]
        days = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *(own[0] for _place, own in known)]))
        shape = len(days), len(variants)
        counts = Counts(*(np.zeros(shape, dtype=np.int64) for _name in COUNT_NAMES))
        values = Values(*(np.zeros(shape) for _name in VALUE_NAMES)) if with_values else None
        for place, (own, *numbers) in known:
            rows = np.searchsorted(days, own)
            for column, of in zip((*counts, *(values or ())), numbers, strict=with_values):
                column[rows, place] = of
        return cls(days, counts, values)

    @classmethod
    def _of_alike(
        cls, variants: Sequence[Sequence[NDArray[Any]] | None], with_values: bool
    ) -> "DailyTable | None":
        """The usual case: every variant has the same days, and they rise; None where it is not so."""
        if not variants or any(columns is None for columns in variants):
            return None
        days, *numbers = zip(*filter(None, variants), strict=True)
        first = days[0]
        if any(len(own) != len(first) or (own != first).any() for own in days[1:]):
            return None
        if (first[1:] <= first[:-1]).any():
            return None
        columns = [np.array(of).T.copy() for of in numbers]
        counts, values = columns[: len(COUNT_NAMES)], columns[len(COUNT_NAMES) :]
        return cls(first, Counts(*counts), Values(*values) if with_values else None)

    @classmethod
    def of_rows(cls, rows: Iterable[MetricRow], place: Mapping[int, int]) -> "DailyTable":
        """From rows in any order. ``place``: the column of each variant id; rows of other variants are left out."""
        known = [row for row in rows if row[1] in place]
        # by columns: an array of rows is twice as slow to make
        dates, variants, *numbers = zip(*known, strict=True) if known else [()] * (2 + len(COUNT_NAMES))
        day = np.fromiter(map(dt.date.toordinal, dates), np.int64, len(known))
        column = np.fromiter(map(place.__getitem__, variants), np.int64, len(known))
        days, index = np.unique(day, return_inverse=True)
        at, shape = (index, column), (len(days), len(place))
        return cls(days, Counts(*(_column(shape, at, of) for of in numbers)))


Number = TypeVar("Number", np.int64, np.float64)


def _one_under_another(first: NDArray[Number], second: NDArray[Number]) -> NDArray[Number]:
    return np.concatenate([first, second])


def _column(shape: tuple[int, int], at: tuple[Numbers, Numbers], numbers: Iterable[int]) -> Numbers:
    column = np.zeros(shape, dtype=np.int64)
    column[at] = np.fromiter(numbers, np.int64, len(at[0]))
    return column
