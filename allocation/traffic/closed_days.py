"""Traffic beside its split, day by day without reading whole histories again.

Days that are a week old are closed: their sums are kept beside the experiment, and a sweep reads the days after them
and the decisions that split those. A write to a closed day (Experiment.changed_from), another set of variants, a
decision for a closed day and an end that was undone make everything be read again.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
from django.db import connection

from allocation.engine.analysis.sample_ratio import TrafficSums
from allocation.ledger.statements import VariantKey, stream_of_impressions, stream_of_shares
from allocation.models import CLOSING, ClosedTraffic
from allocation.sample_ratio import SampleRatioResult, result_of_sums
from allocation.traffic.open_days import Closed, Numbered, OpenDays, batch_size, variants_in
from experiments.database.recordset import upsert
from experiments.database.rows import places, rows_of, unsaved
from experiments.models import Experiment

Variants = Mapping[int, Sequence[VariantKey]]
Results = dict[int, SampleRatioResult | None]

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
# The days of each variant are looked up by themselves, which OFFSET 0 insists on: PostgreSQL takes those of hundreds of
# experiments for so many that it reads the whole table, by several processes.
_OPEN_DAYS = {
    "postgresql": """
SELECT v.experiment_id, m.date, m.variant_id, m.impressions FROM experiments_variant v CROSS JOIN LATERAL (
    SELECT d.date, d.variant_id, d.impressions FROM experiments_dailymetric d
    WHERE d.variant_id = v.id AND d.date > %s AND d.date <= %s OFFSET 0
) m WHERE v.experiment_id IN ({among})
""",
    "sqlite": """
SELECT v.experiment_id, m.date, m.variant_id, m.impressions
FROM experiments_variant v JOIN experiments_dailymetric m ON m.variant_id = v.id
WHERE m.date > %s AND m.date <= %s AND v.experiment_id IN ({among})
""",
}
# A decision that rests on the last closed day splits the traffic of those after it.
_OPEN_SHARES = """
SELECT a.experiment_id, a.id, a.target_date, a.data_through, a.kind, s.variant_id, CAST(s.share AS double precision)
FROM allocation_allocation a JOIN allocation_allocationshare s ON s.allocation_id = a.id
WHERE a.target_date >= %s AND a.target_date <= %s AND a.experiment_id IN ({among})
ORDER BY a.experiment_id, a.target_date, a.revision, s.variant_id
"""


def compared_traffic(variants: Variants, date: dt.date) -> Results:
    """Compare each experiment's traffic with its split, by id, and close days; call with the experiments locked.

    None without two variants and days to compare.
    """
    found: Results = {pk: None for pk, own in variants.items() if not own}
    more: list[ClosedTraffic] = []
    for closed, days in _looked_at(variants, date):
        until = closed.plus(days, max(closed.through, date - _OPEN))
        if until is not closed:
            more += _stored(until.rows(np.flatnonzero(~days.has_ends).tolist()))
        found |= _results(until.plus(days, date), variants)
    _keep(more)
    return found


def _looked_at(variants: Variants, date: dt.date) -> Iterator[tuple[Closed, OpenDays]]:
    """Give what is closed with the days after it; of the others nothing, with their whole histories."""
    whole = {pk for pk, own in variants.items() if own}
    for closed, days in _after_closed(_read_closed(variants, date), date):
        whole -= set(closed.ids)
        yield closed, days
    ids = sorted(whole)
    for start in range(0, len(ids), _WHOLE_AT_ONCE):
        yield from _whole_histories(ids[start : start + _WHOLE_AT_ONCE], variants, date)


def _results(total: Closed, variants: Variants) -> Results:
    counted = zip(total.days.tolist(), total.compared_days.tolist(), *total.sums, strict=True)
    return {
        pk: result_of_sums(variants[pk], TrafficSums(*sums), number, compared) if compared else None
        for pk, (number, compared, *sums) in zip(total.ids, counted, strict=True)
    }


def _after_closed(closed: Sequence[Closed], date: dt.date) -> Iterator[tuple[Closed, OpenDays]]:
    """Read what comes after the closed days, in two statements for those closed alike. What an end concerns is left
    out.
    """
    for one in closed:
        span = [one.through.isoformat(), date.isoformat(), *one.ids]
        rows = rows_of(_OPEN_DAYS[connection.vendor].format(among=places(one.ids)), span)
        shares = rows_of(_OPEN_SHARES.format(among=places(one.ids)), span)
        ended = {row[0] for row in shares if row[4] in CLOSING}
        kept = one.rows([n for n, pk in enumerate(one.ids) if pk not in ended]) if ended else one
        if kept.ids:
            yield kept, OpenDays.of(kept, date, rows, shares)


def _whole_histories(
    ids: Sequence[int], variants: Variants, date: dt.date
) -> Iterator[tuple[Closed, OpenDays]]:
    """Read everything, from before the first day of each; a day at least is closed, so that its sums are kept."""
    shares = {pk: list(rows) for pk, rows in groupby(stream_of_shares(ids, date), lambda row: row[0])}
    days = {pk: list(rows) for pk, rows in groupby(stream_of_impressions(ids, date), lambda row: row[0])}
    for pk in ids:
        own, split = days.pop(pk, []), shares.pop(pk, [])
        begun = [rows[0][place] for rows, place in ((own, 1), (split, 2)) if rows]
        after = min([date - _OPEN - _DAY, *(first - _DAY for first in begun)])
        nothing = Closed.nothing(pk, [variant.id for variant in variants[pk]], after)
        yield nothing, OpenDays.of(nothing, date, own, split)


def _read_closed(variants: Variants, date: dt.date) -> list[Closed]:
    """Read the sums that still hold, together those that can be worked on at once; one statement."""
    if not variants:
        return []
    rows = rows_of(_CLOSED.format(among=places(variants)), [*variants, date.isoformat()])
    alike: defaultdict[tuple[dt.date, int], list[Numbered]] = defaultdict(list)
    for pk, through, decision, days, compared, packed in rows:
        one = Numbered(pk, decision, days, compared, np.frombuffer(bytes(packed), dtype=np.float64))
        size = variants_in(one.numbers.size)
        if one.numbers[:size].tolist() == [variant.id for variant in variants[pk]]:
            alike[through, size].append(one)
    return [
        Closed.of(through, some)
        for (through, size), found in alike.items()
        for some in _in_parts(found, batch_size(size, (date - through).days))
    ]


def _in_parts(found: Sequence[Numbered], most: int) -> Iterable[Sequence[Numbered]]:
    return (found[start : start + most] for start in range(0, len(found), most))


def _stored(closed: Closed) -> list[ClosedTraffic]:
    """Make the rows that hold these sums."""
    if not closed.ids:
        return []
    counted = zip(closed.decision.tolist(), closed.days.tolist(), closed.compared_days.tolist(), strict=True)
    return [
        unsaved(
            ClosedTraffic,
            experiment_id=pk,
            through=closed.through,
            decision=decision,
            days=days,
            compared_days=compared,
            sums=numbers.tobytes(),
        )
        for pk, (decision, days, compared), numbers in zip(closed.ids, counted, closed.packed(), strict=True)
    ]


def _keep(rows: Sequence[ClosedTraffic]) -> None:
    """Write the sums; what is written to their days from now on has not been seen by them.

    Of the others the earlier sums stay, which have not seen what was written before either.
    """
    if not rows:
        return
    upsert(rows)
    ids = [row.experiment_id for row in rows]
    Experiment.objects.filter(pk__in=ids, changed_from__isnull=False).update(changed_from=None)
