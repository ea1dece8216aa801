"""Days after the closed ones: how their traffic was split, of many experiments at once.

A sweep looks at a week of each experiment. One by one that takes numpy longer to begin than to compute, and Python
longer to go through the rows than the database to read them.
Shapes: N experiments of K variants, J days after the closed ones, R decisions.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from allocation.engine.analysis.sample_ratio import TrafficSums
from allocation.models import CLOSING
from allocation.selectors import Split, served_from_of, with_undone_ends
from experiments.database.rows import Row

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]

# A variant without a share is not one with a share of 0: it was not there.
NO_SHARE = -1.0
# Numbers of a day, or of a product of shares, in memory at once: 8 MB.
_MOST_NUMBERS = 1 << 20


class Numbered(NamedTuple):
    """An experiment's sums as they are stored; ``numbers``: what ``Closed.packed`` writes in a line."""

    id: int
    decision: int
    days: int
    compared_days: int
    numbers: Floats


class Closed(NamedTuple):
    """Sums through a day, of experiments with as many variants. ``ids`` (N,) and ``variants`` (N, K): theirs.

    ``decision``, ``days`` and ``compared_days`` (N,). ``split`` (N, K) is in force at the day's end, ``NO_SHARE``
    throughout where there is none. The sums have the experiments as their first axis.
    """

    ids: Sequence[int]
    variants: Numbers
    through: dt.date
    decision: Numbers
    days: Numbers
    compared_days: Numbers
    split: Floats
    sums: TrafficSums

    @classmethod
    def of(cls, through: dt.date, stored: Sequence[Numbered]) -> Self:
        """Stack what is stored of experiments with as many variants."""
        ids, decision, days, compared, numbers = zip(*stored, strict=True)
        table = np.stack(numbers)
        size = variants_in(table.shape[1])
        parts = table[:, : 4 * size].reshape(-1, 4, size)
        products = table[:, 4 * size :].reshape(-1, size, size)
        sums = TrafficSums(parts[:, 2], parts[:, 3], products)
        return cls(
            ids,
            parts[:, 0].astype(np.int64),
            through,
            np.array(decision, dtype=np.int64),
            np.array(days, dtype=np.int64),
            np.array(compared, dtype=np.int64),
            parts[:, 1],
            sums,
        )

    @classmethod
    def nothing(cls, pk: int, variants: Sequence[int], through: dt.date) -> Self:
        """Begin an experiment, of which nothing is closed."""
        size = len(variants)
        split, sums = [NO_SHARE] * size, [0.0] * (2 * size + size * size)
        return cls.of(through, [Numbered(pk, 0, 0, 0, np.array([*variants, *split, *sums]))])

    def packed(self) -> Floats:
        """Write the numbers of each experiment in a line: variants, split, observed, expected and products."""
        observed, expected, products = self.sums
        parts = [self.variants, self.split, observed, expected, products.reshape(len(self.ids), -1)]
        return np.concatenate(parts, axis=1, dtype=np.float64)

    def rows(self, kept: Sequence[int]) -> Self:
        """Take some of the experiments."""
        return self._replace(
            ids=[self.ids[n] for n in kept],
            variants=self.variants[kept],
            decision=self.decision[kept],
            days=self.days[kept],
            compared_days=self.compared_days[kept],
            split=self.split[kept],
            sums=TrafficSums(*(column[kept] for column in self.sums)),
        )

    def plus(self, days: "OpenDays", until: dt.date) -> Self:
        """Add the days up to ``until``; ``days`` are those after some earlier day, with all that follow."""
        if until == self.through:
            return self
        start, end = self.through - days.after, until - days.after
        more, counted, compared = days.sums(start.days, end.days)
        return self._replace(
            through=until,
            decision=days.decisions_until(until, self.decision),
            days=self.days + counted,
            compared_days=self.compared_days + compared,
            split=days.splits[:, end.days],
            sums=self.sums.plus(more),
        )


def variants_in(numbers: int) -> int:
    """Tell how many variants have so many numbers, 4 K + K K; 0 where none have."""
    size = int(np.sqrt(numbers + 4)) - 2
    return size if size > 0 and 4 * size + size * size == numbers else 0


def batch_size(variants: int, days: int) -> int:
    """Tell how many experiments can be worked on at once."""
    return max(1, _MOST_NUMBERS // (max(variants, 1) * max(variants, days, 1)))


class _Decisions(NamedTuple):
    """Decisions in order, (R,): place of the experiment, id, the date and the day from which traffic follows it, as
    day numbers. ``split`` (R, K)."""

    of: Numbers
    ids: Numbers
    date: Numbers
    served_from: Numbers
    split: Floats


class OpenDays(NamedTuple):
    """Days after the day ``after``. ``impressions`` (N, J, K); ``present`` (N, J): there are data of that day.

    ``splits`` (N, J + 1, K): in force on each day, and before them at the end of ``after``. ``has_ends`` (N,): a
    decision ended the experiment.
    """

    after: dt.date
    impressions: Floats
    present: NDArray[np.bool_]
    splits: Floats
    decisions: _Decisions
    has_ends: NDArray[np.bool_]

    @classmethod
    def of(cls, closed: Closed, date: dt.date, rows: Collection[Row], shares: Collection[Row]) -> Self:
        """Sort rows of impressions and of shares, as the statements have them, up to ``date``; they may be of others,
        too."""
        (size, variants), days = closed.variants.shape, (date - closed.through).days
        place = {pk: n for n, pk in enumerate(closed.variants.ravel().tolist())}
        impressions, present = _traffic(rows, place, (size, variants, days), closed.through)
        experiments = {pk: n for n, pk in enumerate(closed.ids)}
        own = [row for row in shares if row[0] in experiments]
        decisions = _decisions(own, experiments, place, variants)
        splits = _in_force(decisions, closed.split, closed.through, days)
        has_ends = np.zeros(size, dtype=bool)
        has_ends[[experiments[row[0]] for row in own if row[4] in CLOSING]] = True
        return cls(closed.through, impressions, present, splits, decisions, has_ends)

    def sums(self, start: int, end: int) -> tuple[TrafficSums, Numbers, Numbers]:
        """Add up the days behind the first ``start`` up to the ``end``-th; count them, and those with a split."""
        splits, present = self.splits[:, start + 1 : end + 1], self.present[:, start:end]
        compared = present & (splits != NO_SHARE).any(axis=2)
        shares = np.where(compared[:, :, None], np.maximum(splits, 0.0), 0.0)
        served = np.where(shares > 0, self.impressions[:, start:end], 0.0)
        totals = served.sum(axis=2)
        weighted = shares * totals[:, :, None]
        sums = TrafficSums(served.sum(axis=1), weighted.sum(axis=1), weighted.transpose(0, 2, 1) @ shares)
        return sums, present.sum(axis=1), compared.sum(axis=1)

    def decisions_until(self, until: dt.date, before: Numbers) -> Numbers:
        """Name the last decision for a date up to ``until`` of each experiment; that ``before`` where there is none."""
        last = before.copy()
        known = self.decisions.date <= until.toordinal()
        last[self.decisions.of[known]] = self.decisions.ids[known]
        return last


def _traffic(
    rows: Collection[Row], place: Mapping[int, int], shape: tuple[int, int, int], after: dt.date
) -> tuple[Floats, NDArray[np.bool_]]:
    """Put rows of experiment, date, variant and impressions into (N, J, K), and mark the days that have one."""
    size, variants, days = shape
    traffic, present = np.zeros((size * variants, days)), np.zeros((size, days), dtype=bool)
    if rows:
        _experiments, dates, of, impressions = zip(*rows, strict=True)
        at = np.array([place.get(pk, -1) for pk in of])
        day = np.fromiter(map(dt.date.toordinal, dates), np.int64, len(dates)) - after.toordinal() - 1
        known = at >= 0
        traffic[at[known], day[known]] = np.array(impressions, dtype=np.float64)[known]
        present[at[known] // variants, day[known]] = True
    return traffic.reshape(size, variants, days).transpose(0, 2, 1), present


def _decisions(
    shares: Collection[Row], experiments: Mapping[int, int], place: Mapping[int, int], variants: int
) -> _Decisions:
    """Gather the decisions of rows of shares: experiment, decision, date, data, kind, variant, share."""
    if not shares:
        none = np.zeros(0, dtype=np.int64)
        return _Decisions(none, none, none, none, np.zeros((0, variants)))
    of, ids, dates, through, kinds, variant, share = zip(*shares, strict=True)
    keys = np.array(ids)
    begins = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
    number = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(keys)))
    split = np.full((len(begins), variants), NO_SHARE)
    at = np.array([place.get(pk, -1) for pk in variant])
    known = at >= 0
    split[number[known], at[known] % variants] = np.array(share, dtype=np.float64)[known]
    first = begins.tolist()
    served_from = [served_from_of(dates[n], through[n]).toordinal() for n in first]
    found = _Decisions(
        np.array([experiments[of[n]] for n in first]),
        keys[begins],
        np.array([dates[n].toordinal() for n in first]),
        np.array(served_from),
        split,
    )
    _mark_undone_ends(found, [kinds[n] for n in first])
    return found


def _mark_undone_ends(decisions: _Decisions, kinds: Sequence[str]) -> None:
    """Take the split from ends that were undone, and have what follows begin when their days are over."""
    for n in {of for of, kind in zip(decisions.of.tolist(), kinds, strict=True) if kind in CLOSING}:
        own = np.flatnonzero(decisions.of == n).tolist()
        days = zip(decisions.date[own].tolist(), decisions.served_from[own].tolist(), strict=True)
        splits = [
            (kinds[r], Split(dt.date.fromordinal(date), dt.date.fromordinal(served), {}, {}, {}))
            for r, (date, served) in zip(own, days, strict=True)
        ]
        for r, marked in zip(own, with_undone_ends(splits), strict=True):
            decisions.served_from[r] = marked.served_from.toordinal()
            if marked.undone:
                decisions.split[r] = NO_SHARE


def _in_force(decisions: _Decisions, before: Floats, after: dt.date, days: int) -> Floats:
    """The split of each day, (N, J + 1, K): that of the latest decision that it follows, at first the one before."""
    size = len(before)
    number = np.full((size, days + 1), -1)
    number[:, 0] = len(decisions.ids) + np.arange(size)
    place = decisions.served_from - after.toordinal()
    inside = (place > 0) & (place <= days)
    # of several from the same day on the last one holds
    number[decisions.of[inside], place[inside]] = np.flatnonzero(inside)
    latest = np.maximum.accumulate(np.where(number >= 0, np.arange(days + 1), 0), axis=1)
    return np.asarray(np.concatenate([decisions.split, before])[np.take_along_axis(number, latest, axis=1)])
