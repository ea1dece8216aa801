"""The statements of a decision, written by hand.

A decision reads and writes an experiment in a dozen statements. The ORM took 25 ms to build what the database runs in
five; most of what a read after new data costs. Queries that are composed or rare stay with the ORM.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from django.db import connection

from allocation.engine.analysis.gains import Rewards
from allocation.ledger.days.statements import DayColumns, date_of, day_columns, select_columns
from allocation.models import CLOSING, Allocation, AllocationShare
from allocation.packing import unpack
from experiments.database.pipeline import Step, rows_of_each
from experiments.database.prepared import Prepared
from experiments.database.rows import Columns, Row, places, rows_of, stream_of
from experiments.models import Experiment, Status, Variant
from notifications.events import EventKind

_EXPERIMENT = Columns(Experiment, "e")
# When they were made is not asked.
_VARIANT = Columns(Variant, "v", without=("created_at",))
_ALLOCATION = Columns(Allocation, "a", without=("inputs", "packed_inputs"))
_SHARE = Columns(AllocationShare, "s")

# The decision in force before a date. Kinds and status are written out, and it is found for each experiment by itself:
# so PostgreSQL plans a statement with it once, where it planned each time, which took longer than to run it.
_DECISION_BEFORE = f"""(
    SELECT n.id FROM allocation_allocation n WHERE n.experiment_id = e.id AND n.target_date < %s
    AND (n.kind NOT IN ({", ".join(f"'{kind}'" for kind in CLOSING)}) OR e.status = '{Status.COMPLETED}')
    ORDER BY n.target_date DESC, n.revision DESC LIMIT 1
)"""  # noqa: S608 (constants, columns and placeholders only, here and below)
# All that is known before the days are read, at once: a statement takes Python longer than the database. A decision
# for the date follows the columns of the experiment and what is asked beside them; without one there are nulls. Pairs
# are for the index of an experiment's decisions: by a date alone PostgreSQL looks into those of all experiments.
_EXPERIMENTS = f"""
SELECT {_EXPERIMENT.sql},
    EXISTS (SELECT 1 FROM notifications_alarm WHERE experiment_id = e.id AND kind = %s AND cleared_at IS NULL),
    EXISTS (SELECT 1 FROM notifications_alarm WHERE experiment_id = e.id AND kind <> %s),
    EXISTS (SELECT 1 FROM notifications_endpoint WHERE is_active),
    EXISTS (SELECT 1 FROM experiments_guard WHERE experiment_id = e.id),
    EXISTS (
        SELECT 1 FROM experiments_variant v JOIN experiments_dailymetric m ON m.variant_id = v.id
        AND (m.variant_id, m.date) < (v.id, %s) WHERE v.experiment_id = e.id
    ),
    (
        SELECT min(l.target_date) FROM allocation_allocation l WHERE l.experiment_id = e.id
        AND (l.experiment_id, l.target_date) > (e.id, %s)
    ),
    b.id, b.inputs_digest,
    (SELECT {{variants}} FROM experiments_variant v WHERE v.experiment_id = e.id),
    {_ALLOCATION.sql}
FROM experiments_experiment e LEFT JOIN allocation_allocation a ON a.id = (
    SELECT l.id FROM allocation_allocation l
    WHERE (l.experiment_id, l.target_date) >= (e.id, %s) AND (l.experiment_id, l.target_date) <= (e.id, %s)
    ORDER BY l.experiment_id DESC, l.target_date DESC, l.revision DESC LIMIT 1
) LEFT JOIN allocation_allocation b ON b.id = {_DECISION_BEFORE}
WHERE e.id IN ({{places}})
"""  # noqa: S608
# Rows of variants as one text of JSON.
_VARIANTS = {
    "postgresql": f"CAST(json_agg(json_build_array({_VARIANT.sql})) AS text)",
    "sqlite": f"json_group_array(json_array({_VARIANT.sql}))",
}
# Of whole histories: what compares the traffic with its split, and nothing else.
_IMPRESSIONS = """
SELECT v.experiment_id, m.date, m.variant_id, m.impressions
FROM experiments_variant v JOIN experiments_dailymetric m ON m.variant_id = v.id
WHERE v.experiment_id IN ({places}) AND m.date <= %s ORDER BY v.experiment_id, m.date
"""
_ALL_SHARES = """
SELECT a.experiment_id, a.id, a.target_date, a.data_through, a.kind, s.variant_id, CAST(s.share AS double precision)
FROM allocation_allocation a JOIN allocation_allocationshare s ON s.allocation_id = a.id
WHERE a.experiment_id IN ({places}) AND a.target_date <= %s
ORDER BY a.experiment_id, a.target_date, a.revision, s.variant_id
"""
_KEYS = "SELECT experiment_id, id, key FROM experiments_variant WHERE experiment_id IN ({places}) ORDER BY id"
_LAST = """NOT EXISTS (
    SELECT 1 FROM allocation_allocation later WHERE later.experiment_id = a.experiment_id
    AND later.target_date = a.target_date AND later.revision > a.revision
)"""
_SHARES = f"""
SELECT {_SHARE.sql} FROM allocation_allocationshare s
WHERE s.allocation_id IN ({{places}}) ORDER BY s.variant_id
"""  # noqa: S608
# The inputs are large: they come with the first share alone.
_INPUTS_ONCE = """CASE WHEN s.id = (
    SELECT first.id FROM allocation_allocationshare first WHERE first.allocation_id = a.id
    ORDER BY first.variant_id LIMIT 1
) THEN a.packed_inputs END"""
_RECORDED = f"""
SELECT {_SHARE.sql}, {_INPUTS_ONCE} FROM allocation_allocation a
JOIN allocation_allocationshare s ON s.allocation_id = a.id WHERE a.id = %s ORDER BY s.variant_id
"""  # noqa: S608
_BEFORE = f"""
SELECT a.experiment_id, s.variant_id, s.share, a.kind, a.target_date, {_INPUTS_ONCE},
    {", ".join(f"a.{name}" for name in Rewards._fields)}
FROM experiments_experiment e JOIN allocation_allocation a ON a.id = {_DECISION_BEFORE}
JOIN allocation_allocationshare s ON s.allocation_id = a.id
WHERE e.id IN ({{places}}) ORDER BY s.variant_id
"""  # noqa: S608
_HISTORY = f"""
SELECT a.target_date, a.data_through, a.window_impressions, a.window_clicks, v.name, s.share FROM (
    SELECT * FROM allocation_allocation a
    WHERE a.experiment_id = %s AND a.target_date >= %s AND a.target_date <= %s AND {_LAST}
    ORDER BY a.target_date DESC LIMIT %s
) a JOIN allocation_allocationshare s ON s.allocation_id = a.id JOIN experiments_variant v ON v.id = s.variant_id
ORDER BY a.target_date DESC, s.variant_id
"""  # noqa: S608


class VariantKey(NamedTuple):
    id: int
    key: str


class ForAllocation(NamedTuple):
    """Experiments, and the last revision for the date of each that has one, without inputs; both by experiment id."""

    experiments: dict[int, Experiment]
    latest: dict[int, Allocation]


def read_for_allocation(ids: Collection[int], date: dt.date, first: dt.date) -> ForAllocation:
    """Read what ``selectors.experiments_for_allocation(date)`` does of these experiments, but for the summary of the
    data, with the decision in force before the date (its id, ``decision_before``, and the digest of its inputs,
    ``digest_before``), and the decisions for the date.

    ``has_older_days``: there are days before ``first``. ``has_alarms``: of other kinds, open or over. ``is_heard``: an
    endpoint takes events.
    """
    return (
        _for_allocation(rows_of(*_select_for_allocation(ids, date, first))) if ids else ForAllocation({}, {})
    )


def read_one(
    pk: int, date: dt.date, first: dt.date, *, after: Sequence[Step], with_days: bool
) -> tuple[ForAllocation, DayColumns | None]:
    """Read one experiment as ``read_for_allocation`` does, and the columns of its days from ``first`` to ``date``.

    All is sent at once, behind the steps that come before, such as a lock.
    """
    selects = [_select_for_allocation([pk], date, first)]
    if with_days:
        selects.append(select_columns([pk], first, date))
    steps = [*after, *((_prepared(sql), parameters) for sql, parameters in selects)]
    experiments, *columns = rows_of_each(steps)[len(after) :]
    return _for_allocation(experiments), day_columns(columns[0]) if with_days else None


_prepared = lru_cache(maxsize=8)(Prepared)
# The number of facts between the experiment and its decision.
_BESIDE = 9


def _select_for_allocation(ids: Collection[int], date: dt.date, first: dt.date) -> tuple[str, list[Any]]:
    day, mismatch = date.isoformat(), EventKind.SAMPLE_RATIO_MISMATCH.value
    sql = _EXPERIMENTS.format(variants=_VARIANTS[connection.vendor], places=places(ids))
    return sql, [mismatch, mismatch, first.isoformat(), *[day] * 4, *ids]


def _for_allocation(rows: Iterable[Row]) -> ForAllocation:
    found = ForAllocation({}, {})
    for row in rows:
        experiment, decision = _experiment(row), row[_EXPERIMENT.width + _BESIDE :]
        found.experiments[experiment.pk] = experiment
        if decision[0] is not None:
            found.latest[experiment.pk] = _ALLOCATION.instance(decision)
    return found


def _experiment(row: Row) -> Experiment:
    experiment, beside = _EXPERIMENT.instance(row), row[_EXPERIMENT.width :][:_BESIDE]
    has_mismatch, has_alarms, is_heard, has_guards, has_older, following, before, digest, variants = beside
    vars(experiment).update(
        has_mismatch=bool(has_mismatch),
        has_alarms=bool(has_alarms),
        is_heard=bool(is_heard),
        has_guards=bool(has_guards),
        has_older_days=bool(has_older),
        next_decision=date_of(following) if following else None,
        decision_before=before,
        digest_before=digest,
    )
    rows = sorted(orjson.loads(variants or "[]"))  # by id, which is the first
    hold_variants(experiment, [_VARIANT.instance(one) for one in rows])
    return experiment


def hold_variants(experiment: Experiment, variants: Sequence[Variant]) -> None:
    """Give the experiment its variants, as a prefetch does: ``variants.all()`` costs no query then."""
    held = Variant.objects.all()
    vars(held).update(_result_cache=list(variants), _prefetch_done=True)
    vars(experiment)["_prefetched_objects_cache"] = {"variants": held}


def read_recorded(allocation: Allocation) -> list[AllocationShare]:
    """Read the shares of a decision in the order of the variants, and its inputs into it; nothing of one that is gone.

    At once, as what would be read later may be gone then.
    """
    rows = rows_of(_RECORDED, [allocation.pk])
    if rows and rows[0][-1] is not None:
        allocation.packed_inputs = unpack(bytes(rows[0][-1]))
    return [_SHARE.instance(row) for row in rows]


def recorded_inputs(allocation: Allocation) -> Mapping[str, Any]:
    """Give the inputs that a decision recorded, as JSON; they are read where they have not been."""
    if "packed_inputs" in vars(allocation):
        return allocation.recorded_inputs
    sql = "SELECT packed_inputs FROM allocation_allocation WHERE id = %s AND packed_inputs IS NOT NULL"
    found = rows_of(sql, [allocation.pk])
    return unpack(bytes(found[0][0])) if found else allocation.recorded_inputs


def shares_of(allocations: Collection[Allocation]) -> Mapping[int, list[AllocationShare]]:
    """Read the shares of these allocations, by allocation id, in the order of the variants."""
    shares: defaultdict[int, list[AllocationShare]] = defaultdict(list)
    if not allocations:
        return shares
    ids = [allocation.pk for allocation in allocations]
    for share in map(_SHARE.instance, rows_of(_SHARES.format(places=places(ids)), ids)):
        shares[share.allocation_id].append(share)
    return shares


def variant_keys(ids: Collection[int]) -> dict[int, list[VariantKey]]:
    """Read the variants of these experiments, by experiment id, each with its list."""
    found: dict[int, list[VariantKey]] = {pk: [] for pk in ids}
    for pk, *variant in rows_of(_KEYS.format(places=places(ids)), [*ids]) if ids else ():
        found[pk].append(VariantKey(*variant))
    return found


def stream_of_impressions(ids: Collection[int], date: dt.date) -> Iterator[Row]:
    """Read whole histories up to ``date``, by experiment and date: experiment, date, variant, impressions."""
    return stream_of(_IMPRESSIONS.format(places=places(ids)), [*ids, date.isoformat()])


def stream_of_shares(ids: Collection[int], date: dt.date) -> Iterator[Row]:
    """Read the shares of every revision up to ``date``, by experiment and in order: experiment, decision, date, data,
    kind, variant, share."""
    return stream_of(_ALL_SHARES.format(places=places(ids)), [*ids, date.isoformat()])


def rows_before(ids: Collection[int], date: dt.date) -> list[Row]:
    """Read the shares of the last decision for an earlier date of each experiment: experiment, variant, share, kind,
    date, packed inputs (with the first one alone), gains.

    An end that was undone is none: what runs again goes on from where it was.
    """
    if not ids:
        return []
    return rows_of(_BEFORE.format(places=places(ids)), [date.isoformat(), *ids])


def refresh_statistics() -> None:
    """Tell PostgreSQL's planner of a date that is new to the ledger.

    Autovacuum does so after a tenth of all rows, which are some days: until then it takes the new date for rare, and
    reads all decisions of it to find one experiment's.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE allocation_allocation (experiment_id, target_date)")


def rows_of_history(experiment_id: int, start: dt.date | None, end: dt.date | None, dates: int) -> list[Row]:
    """Read the shares of the last revision of each date, newest first: date, data, window's totals, name, share."""
    span = [(start or dt.date.min).isoformat(), (end or dt.date.max).isoformat()]
    return rows_of(_HISTORY, [experiment_id, *span, dates])
