"""Reads of the ledger that more than one place needs."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import groupby
from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef, Subquery
from django.utils import timezone

from allocation.engine import ENGINE_VERSION
from allocation.exceptions import NoAllocationError
from allocation.ledger.days.reading import first_read
from allocation.ledger.statements import rows_of_history, stream_of_shares
from allocation.models import (
    CLOSING,
    Allocation,
    AllocationQuerySet,
    AllocationShare,
    Kind,
    shares_with_variants,
)
from experiments.campaign.models import Guard
from experiments.database.prepared import Prepared
from experiments.database.rows import Row
from experiments.models import DailyMetric, Experiment, ExperimentQuerySet, Variant
from experiments.selectors import id_or_key, not_found, today
from notifications.events import EventKind
from notifications.models import Alarm

HISTORY_DATES = 30


def allocation_in_force(experiment: Experiment, date: dt.date) -> Allocation:
    """The decision that counts on ``date``; raises NoAllocationError where there is none yet."""
    found = Allocation.objects.filter(experiment=experiment).in_force_on(date).with_shares().first()
    if found is None:
        raise NoAllocationError(f"Experiment {experiment.key!r} has no allocation yet.")
    return found


class HistoryDate(NamedTuple):
    """The last decision for a date: its window's totals and its shares by variant name."""

    target_date: dt.date
    data_through: dt.date | None
    window_impressions: int
    window_clicks: int
    shares: dict[str, float]


def allocation_history(experiment: Experiment, *, end: dt.date, dates: int) -> list[Allocation]:
    """The last revision of each date up to ``end``, newest first, at most ``dates`` of them, with their shares."""
    chosen = Allocation.objects.filter(experiment=experiment, target_date__lte=end)
    return list(chosen.last_revisions().order_by("-target_date").with_shares()[:dates])


def history_dates(
    experiment_id: int,
    *,
    start: dt.date | None = None,
    end: dt.date | None = None,
    dates: int = HISTORY_DATES,
) -> list[HistoryDate]:
    """The last revision of each date from start to end, newest first, at most ``dates`` of them; one query."""
    in_order = rows_of_history(experiment_id, start, end, dates)
    return [
        HistoryDate(date, through, impressions, clicks, {name: float(share) for *_, name, share in shares})
        for (date, through, impressions, clicks), shares in groupby(in_order, lambda row: row[:4])
    ]


class Split(NamedTuple):
    """The shares of a decision, by variant id. ``chances``: probability_best, of optimized decisions only.
    ``targets``: the shares before the limits, where they were computed.

    ``served_from``: the first day whose traffic it can have split. ``undone``: it is an end that was undone; the days
    until the experiment went on had the traffic of both.
    """

    target_date: dt.date
    served_from: dt.date
    shares: dict[int, float]
    chances: dict[int, float]
    targets: dict[int, float]
    undone: bool = False


def splits_until(experiment_ids: Sequence[int], date: dt.date) -> dict[int, list[Split]]:
    """Every revision for every target date up to ``date``, in order, by experiment id; one query."""
    rows = AllocationShare.objects.filter(
        allocation__experiment__in=experiment_ids, allocation__target_date__lte=date
    ).values_list(
        "allocation__experiment_id", "allocation__target_date", "allocation__revision",
        "allocation__data_through", "allocation__kind", "variant_id", "share", "probability_best", "target",
    )  # fmt: skip
    in_order = rows.order_by(
        "allocation__experiment_id", "allocation__target_date", "allocation__revision", "variant_id"
    )
    found: dict[int, list[tuple[str, Split]]] = {pk: [] for pk in experiment_ids}
    for (pk, target_date, _revision, data_through, kind), shares in groupby(in_order, lambda row: row[:5]):
        found[pk].append((kind, _split(target_date, data_through, kind, list(shares))))
    return {pk: with_undone_ends(splits) for pk, splits in found.items()}


def stream_of_splits(experiment_ids: Sequence[int], date: dt.date) -> Iterator[tuple[int, list[Split]]]:
    """Give each experiment's splits as ``splits_until`` reads them, with the shares alone, in the order of the ids; one
    query. Those that have none are left out."""
    for pk, rows in groupby(stream_of_shares(experiment_ids, date), lambda row: row[0]):
        splits = []
        for (_id, target_date, through, kind), shares in groupby(rows, lambda row: row[1:5]):
            split = {variant: share for *_, variant, share in shares}
            splits.append((kind, Split(target_date, served_from_of(target_date, through), split, {}, {})))
        yield pk, with_undone_ends(splits)


def with_undone_ends(splits: Sequence[tuple[str, Split]]) -> list[Split]:
    """Mark ends after which it went on. Such an end holds from its own day, what follows from the day after it."""
    marked: list[Split] = []
    last_open = max((n for n, (kind, _) in enumerate(splits) if kind not in CLOSING), default=-1)
    ended, mixed_until = False, dt.date.min
    for n, (kind, split) in enumerate(splits):
        if kind in CLOSING:
            ended = n < last_open
            marked.append(split._replace(served_from=split.target_date, undone=True) if ended else split)
            continue
        if ended:
            ended, mixed_until = False, split.target_date
        is_mixed = split.target_date <= mixed_until
        earliest = mixed_until + dt.timedelta(days=1) if is_mixed else split.served_from
        marked.append(split._replace(served_from=max(split.served_from, earliest)))
    return marked


def _split(target_date: dt.date, data_through: dt.date | None, kind: str, rows: list[Any]) -> Split:
    known = rows if kind in {Kind.OPTIMIZED, Kind.GUARD} else []
    return Split(
        target_date,
        served_from_of(target_date, data_through),
        {variant_id: float(share) for *_, variant_id, share, _chance, _target in rows},
        {variant_id: chance for *_, variant_id, _share, chance, _target in known if chance is not None},
        {variant_id: target for *_, variant_id, _share, _chance, target in rows if target is not None},
    )


def served_from_of(target_date: dt.date, data_through: dt.date | None) -> dt.date:
    """Tell the first day; a decision that rests on its own day's counts cannot have split them."""
    is_late = data_through is not None and data_through >= target_date
    return target_date + dt.timedelta(days=1) if is_late else target_date


def allocation_with_inputs(experiment: Experiment, date: dt.date) -> Allocation | None:
    """The allocation in force with its shares and all that it was computed from; two queries."""
    in_force = Allocation.objects.filter(experiment=experiment).in_force_on(date)
    return in_force.prefetch_related(shares_with_variants()).first()


def current_allocations(experiments: Iterable[Experiment], date: dt.date) -> dict[int, Allocation]:
    """The allocation in force of each experiment that has one, by experiment id; two queries."""
    return _newest(Allocation.objects.all(), experiments, date)


def last_computed_allocations(experiments: Iterable[Experiment], date: dt.date) -> dict[int, Allocation]:
    """The last decision of each experiment that rested on its data, which completing it does not; two queries."""
    return _newest(Allocation.objects.exclude(kind__in=CLOSING), experiments, date)


def _newest(
    ledger: AllocationQuerySet, experiments: Iterable[Experiment], date: dt.date
) -> dict[int, Allocation]:
    newest = ledger.newest_of([experiment.pk for experiment in experiments], date).with_shares()
    return {allocation.experiment_id: allocation for allocation in newest}


def experiments_for_allocation(target_date: dt.date) -> ExperimentQuerySet:
    """Experiments with all that their inputs need: whether the alarm of a sample-ratio mismatch is open
    (``has_mismatch``), whether there are guards (``has_guards``) and days too old for any window (``has_older_days``),
    the next later date that has a decision (``next_decision``), the variants, and the summary of the data."""
    return _experiments_for_allocation(target_date).all()


# Every page of an experiment asks for today's: the ORM takes two milliseconds to put it together, as much as to run it.
@lru_cache(maxsize=4)
def _experiments_for_allocation(target_date: dt.date) -> ExperimentQuerySet:
    mismatch = Alarm.objects.filter(
        experiment=OuterRef("pk"), kind=EventKind.SAMPLE_RATIO_MISMATCH, cleared_at=None
    )
    guards = Guard.objects.filter(experiment=OuterRef("pk"))
    older = DailyMetric.objects.filter(variant__experiment=OuterRef("pk"), date__lt=first_read(target_date))
    later = Allocation.objects.filter(experiment=OuterRef("pk"), target_date__gt=target_date)
    return Experiment.objects.for_allocation(target_date).annotate(
        has_mismatch=Exists(mismatch),
        has_guards=Exists(guards),
        has_older_days=Exists(older),
        next_decision=Subquery(later.order_by("target_date").values("target_date")[:1]),
    )


def without_decision(date: dt.date) -> ExperimentQuerySet:
    """Experiments with variants that have been active since before ``date`` and were not decided for it."""
    decided = Allocation.objects.filter(experiment=OuterRef("pk"), target_date=date)
    some = Variant.objects.filter(experiment=OuterRef("pk"), is_active=True)
    midnight = dt.datetime.combine(date, dt.time(), timezone.get_current_timezone())
    return Experiment.objects.active_since(midnight).filter(Exists(some), ~Exists(decided))


class ExperimentState(NamedTuple):
    """All that an answer depends on: data, settings, variants and status (data_version, updated_at), and the log."""

    experiment_id: int
    status: str
    data_version: int
    updated_at: str
    allocation_id: int | None


# Written by hand: this is the whole of an unchanged read, and the ORM takes longer to build it than the database to
# answer. Every decision is a new entry of the ledger, so that the newest tells whether there was one. No entry is for a
# date before that in force, and those for later dates are few: the newest of all is one of the last of either.
_LAST = """(SELECT a.id FROM allocation_allocation a WHERE a.experiment_id = e.id {until}
    ORDER BY a.target_date DESC, a.revision DESC LIMIT 1)"""
_IN_FORCE, _LAST_OF_ALL = _LAST.format(until="AND a.target_date <= %s"), _LAST.format(until="")
_STATE = (
    "SELECT e.id, e.status, e.data_version, CAST(e.updated_at AS text), {ledger} FROM experiments_experiment e "
    "WHERE e.{column} = %s"
)


def state_with_newest(reference: int | str) -> ExperimentState:
    """The state with the last entry of the ledger; raises ExperimentNotFoundError."""
    pk, status, version, at, *entries = _state(reference, f"{_IN_FORCE}, {_LAST_OF_ALL}", today())
    return ExperimentState(pk, status, version, at, max(entry or 0 for entry in entries) or None)


def state_with_in_force(reference: int | str, date: dt.date) -> ExperimentState:
    """The state with the decision that counts on ``date``; raises ExperimentNotFoundError."""
    return ExperimentState(*_state(reference, _IN_FORCE, date))


def answer_key(call: str, state: ExperimentState, *arguments: object) -> str:
    """Under which an answer is cached. Whatever could change the answer changes the key: nothing goes stale."""
    return ":".join(str(part) for part in (call, ENGINE_VERSION, *state, *arguments)).replace(" ", "T")


@cache
def _statement(column: str, ledger: str) -> Prepared:
    return Prepared(_STATE.format(column=column, ledger=ledger))


def _state(reference: int | str, ledger: str, date: dt.date) -> Row:
    column, value = id_or_key(reference)
    rows = _statement(column, ledger).rows([date.isoformat(), value])
    if not rows:
        raise not_found(reference)
    return rows[0]
