"""Traffic beside its split, day by day without reading whole histories again.

Days that are a week old are closed: their sums are kept beside the experiment, and a sweep reads the days after them
and the decisions that split those. A write to a closed day (Experiment.changed_from), another set of variants, a
decision for a closed day and an end that was undone make everything be read again.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.analysis.sample_ratio import TrafficSums, traffic_sums
from allocation.ledger.statements import VariantKey, rows_of_days, stream_of_impressions, stream_of_shares
from allocation.models import CLOSING, ClosedTraffic
from allocation.sample_ratio import SampleRatioResult, result_of_sums, splits_in_force, sums_of_days
from allocation.selectors import Split, served_from_of, with_undone_ends
from experiments.database.recordset import upsert
from experiments.database.rows import Row, places, rows_of, unsaved
from experiments.models import Experiment

Variants = Mapping[int, Sequence[VariantKey]]

# Corrections of the last days are common.
_OPEN = dt.timedelta(days=7)
_DAY = dt.timedelta(days=1)
# Histories in memory at once: of four variants and a year each about 30 MB.
_WHOLE_AT_ONCE = 50
_CLOSED = """
SELECT c.experiment_id, c.through, c.decision, c.days, c.compared_days, c.sums
FROM allocation_closedtraffic c JOIN experiments_experiment e ON e.id = c.experiment_id
WHERE c.experiment_id IN ({among}) AND c.through < %s AND (e.changed_from IS NULL OR e.changed_from > c.through)
    AND c.decision = coalesce((
        SELECT a.id FROM allocation_allocation a WHERE a.experiment_id = c.experiment_id AND a.target_date <= c.through
        ORDER BY a.target_date DESC, a.revision DESC LIMIT 1
    ), 0)
"""
_OPEN_SHARES = """
SELECT a.experiment_id, a.id, a.target_date, a.data_through, a.kind, s.variant_id, CAST(s.share AS double precision)
FROM allocation_allocation a JOIN allocation_allocationshare s ON s.allocation_id = a.id
WHERE {spans} ORDER BY a.experiment_id, a.target_date, a.revision, s.variant_id
"""
_SPAN = "(a.experiment_id IN ({among}) AND a.target_date BETWEEN %s AND %s)"


class _Closed(NamedTuple):
    """Sums through a day. ``split`` is in force at its end, by variant id; empty where there is none."""

    through: dt.date
    decision: int
    days: int
    compared_days: int
    sums: TrafficSums
    split: Mapping[int, float]

    def plus(self, days: "_Days", until: dt.date) -> "_Closed":
        """Add the days up to ``until``."""
        chosen = [n for n, day in enumerate(days.dates) if self.through < day <= until]
        before = Split(self.through, self.through, dict(self.split), {}, {})
        splits = [before, *(one for one in days.splits if one.served_from > self.through)]
        in_force = splits_in_force(splits, [*(days.dates[n] for n in chosen), until])
        more, compared = sums_of_days(days.variants, in_force[:-1], days.impressions[chosen])
        known = [pk for pk, date in days.decisions if date <= until]
        return _Closed(
            until,
            known[-1] if known else self.decision,
            self.days + len(chosen),
            self.compared_days + compared,
            self.sums.plus(more),
            in_force[-1],
        )


class _Days(NamedTuple):
    """Days with data of an experiment, oldest first, (D, K) impressions, and the splits of decisions: their ids beside
    their dates. ``has_ends``: one of them ended the experiment."""

    variants: Sequence[VariantKey]
    dates: Sequence[dt.date]
    impressions: NDArray[np.float64]
    splits: Sequence[Split]
    decisions: Sequence[tuple[int, dt.date]]
    has_ends: bool


def compared_traffic(variants: Variants, date: dt.date) -> dict[int, SampleRatioResult | None]:
    """Compare each experiment's traffic with its split, by id, and close days; call with the experiments locked.

    None without two variants and days to compare.
    """
    closed = _read_closed(variants, date)
    following, whole = _days_after(variants, closed, date), set(variants) - closed.keys()
    whole |= {pk for pk, days in following.items() if days.has_ends}
    found: dict[int, SampleRatioResult | None] = {}
    kept: list[ClosedTraffic] = []
    for pk, days in _all_days(whole, variants, following, date):
        start = closed[pk] if pk not in whole else _nothing(len(days.variants))
        until = start.plus(days, max(start.through, date - _OPEN))
        total = until.plus(days, date)
        found[pk] = (
            result_of_sums(days.variants, total.sums, total.days, total.compared_days)
            if total.compared_days
            else None
        )
        if days.variants and not days.has_ends:
            kept.append(_row(pk, until, days.variants))
    _keep(kept)
    return found


def _nothing(variants: int) -> _Closed:
    none = np.zeros((0, variants))
    return _Closed(dt.date.min, 0, 0, 0, traffic_sums(none, none), {})


def _all_days(
    whole: set[int], variants: Variants, following: Mapping[int, _Days], date: dt.date
) -> Iterator[tuple[int, _Days]]:
    """Give the days of each experiment: after the closed ones, or of its whole history."""
    yield from ((pk, days) for pk, days in following.items() if pk not in whole)
    ids = sorted(whole)
    for start in range(0, len(ids), _WHOLE_AT_ONCE):
        yield from _whole_days(ids[start : start + _WHOLE_AT_ONCE], variants, date)


def _whole_days(ids: Sequence[int], variants: Variants, date: dt.date) -> Iterator[tuple[int, _Days]]:
    shares = {pk: list(rows) for pk, rows in groupby(stream_of_shares(ids, date), lambda row: row[0])}
    days = {pk: list(rows) for pk, rows in groupby(stream_of_impressions(ids, date), lambda row: row[0])}
    for pk in ids:
        yield pk, _days(variants[pk], days.pop(pk, []), shares.pop(pk, []))


def _days_after(variants: Variants, closed: Mapping[int, _Closed], date: dt.date) -> dict[int, _Days]:
    """Read what comes after the closed days of each; two statements."""
    by_day: defaultdict[dt.date, list[int]] = defaultdict(list)
    for pk, one in closed.items():
        by_day[one.through].append(pk)
    if not by_day:
        return {}
    windows = [(ids, through + _DAY, date) for through, ids in by_day.items()]
    impressions, shares = defaultdict[int, list[Row]](list), defaultdict[int, list[Row]](list)
    for row in rows_of_days(windows, ["impressions"]):
        impressions[row[0]].append(row)
    spans = " OR ".join(_SPAN.format(among=places(ids)) for ids in by_day.values())
    given = [
        value for through, ids in by_day.items() for value in (*ids, through.isoformat(), date.isoformat())
    ]
    for row in rows_of(_OPEN_SHARES.format(spans=spans), given):
        shares[row[0]].append(row)
    return {pk: _days(variants[pk], impressions[pk], shares[pk]) for pk in closed}


def _days(variants: Sequence[VariantKey], rows: Iterable[Row], shares: Iterable[Row]) -> _Days:
    place = {variant.id: n for n, variant in enumerate(variants)}
    days: dict[dt.date, list[int]] = {}
    for _pk, date, variant, impressions in rows:
        if variant in place:
            days.setdefault(date, [0] * len(place))[place[variant]] = impressions
    numbers = np.array(list(days.values()), dtype=np.float64).reshape(len(days), len(place))
    revisions = [(key, {row[5]: row[6] for row in of}) for key, of in groupby(shares, lambda row: row[1:5])]
    splits = [
        (kind, Split(date, served_from_of(date, through), split, {}, {}))
        for (_id, date, through, kind), split in revisions
    ]
    return _Days(
        variants,
        list(days),
        numbers,
        with_undone_ends(splits),
        [(pk, date) for (pk, date, _through, _kind), _split in revisions],
        any(kind in CLOSING for (*_others, kind), _split in revisions),
    )


def _read_closed(variants: Variants, date: dt.date) -> dict[int, _Closed]:
    """Read the sums that still hold, by experiment id; one statement."""
    if not variants:
        return {}
    rows = rows_of(_CLOSED.format(among=places(variants)), [*variants, date.isoformat()])
    found = {}
    for pk, through, decision, days, compared, packed in rows:
        size = len(variants[pk])
        numbers = np.frombuffer(bytes(packed), dtype=np.float64)
        if numbers.size != 4 * size + size * size or numbers[:size].tolist() != [v.id for v in variants[pk]]:
            continue
        _ids, shares, observed, expected = numbers[: 4 * size].reshape(4, size)
        split = {v.id: share for v, share in zip(variants[pk], shares.tolist(), strict=True) if share >= 0}
        sums = TrafficSums(observed, expected, numbers[4 * size :].reshape(size, size))
        found[pk] = _Closed(through, decision, days, compared, sums, split)
    return found


def _row(pk: int, closed: _Closed, variants: Sequence[VariantKey]) -> ClosedTraffic:
    # a variant without a share is not one with a share of 0: it was not there
    shares = [closed.split.get(variant.id, -1.0) for variant in variants]
    sums = closed.sums
    numbers = [np.array([v.id for v in variants], dtype=np.float64), np.array(shares), *map(np.ravel, sums)]
    return unsaved(
        ClosedTraffic,
        experiment_id=pk,
        through=closed.through,
        decision=closed.decision,
        days=closed.days,
        compared_days=closed.compared_days,
        sums=np.concatenate(numbers).tobytes(),
    )


def _keep(rows: Sequence[ClosedTraffic]) -> None:
    """Write the sums; what is written to their days from now on has not been seen by them.

    Of the others the earlier sums stay, which have not seen what was written before either.
    """
    if not rows:
        return
    upsert(rows)
    ids = [row.experiment_id for row in rows]
    Experiment.objects.filter(pk__in=ids, changed_from__isnull=False).update(changed_from=None)
