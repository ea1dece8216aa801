"""The part of every experiment that serving needs, in the memory of a worker.

Each request asks the database one cheap question, the version: has an experiment or a decision changed? Only then is
the snapshot read again. Two transactions may commit in another order than their numbers say, and the version cannot
show the one that comes late; so a snapshot is also read again once it is a few seconds old.
"""

import datetime as dt
import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import orjson
from django.db import connection
from django.utils import timezone

from allocation.engine.assignment import Race
from allocation.models import Allocation, AllocationShare, Kind
from experiments.database.moment import one_moment
from experiments.models import Experiment, Status, Variant
from experiments.selectors import today

# Shares are whole numbers of this part of the traffic, as the decision log keeps them.
PARTS = 10_000
# By how much late commits may be seen late.
_LONGEST_SECONDS = 5.0
_SPLIT_KINDS = frozenset({Kind.WARM_UP.value, Kind.OPTIMIZED.value})

# New decisions raise the first. Statuses, archiving, settings and variants change the others; counts change none.
VERSION_SQL = (
    "SELECT (SELECT max(id) FROM allocation_allocation) AS decision, count(*) AS experiments, "
    # as text: a driver takes long to read a moment, and it is only compared
    "CAST(max(updated_at) AS text) AS updated, count(archived_at) AS archived, "
    "sum(CASE status WHEN 'active' THEN 1 WHEN 'paused' THEN 1000000 WHEN 'completed' THEN 1000000000000 ELSE 0 END) "
    "AS statuses FROM experiments_experiment"
)
Version = tuple[Any, ...]


@dataclass(frozen=True)
class Served:
    """One experiment as visitors get it. ``parts`` are shares by variant key, in 1/10,000, none of them zero.

    ``fallback`` is the variant to show where no rule can be followed. ``is_fixed``: everybody gets one variant, by a
    decision that is no experiment any more.
    """

    key: str
    status: str
    allocation: int | None
    target_date: str | None
    expires_at: str | None
    parts: Mapping[str, int]
    shares: Mapping[str, float]
    fallback: str | None
    is_fixed: bool

    @cached_property
    def race(self) -> Race:
        """Return the race of its variants, made once for all visitors."""
        return Race(self.key, self.shares)

    def to_json(self) -> dict[str, object]:
        """Return its entry in the rule set."""
        return {
            "key": self.key,
            "status": self.status,
            "allocation": self.allocation,
            "shares": dict(self.parts),
            "target_date": self.target_date,
            "expires_at": self.expires_at,
            "fallback": self.fallback,
            "counts": self.status != Status.COMPLETED,
        }


@dataclass(frozen=True)
class Snapshot:
    """Every experiment that visitors can meet, by key; the rule set as JSON, and a digest that names it."""

    experiments: Mapping[str, Served]
    document: bytes
    digest: str


class _Held(NamedTuple):
    """The snapshot in memory, and what it rests on."""

    version: Version
    date: dt.date
    read_at: float
    snapshot: Snapshot


class _Decision(NamedTuple):
    pk: int
    kind: str
    target_date: dt.date


class _Variant(NamedTuple):
    pk: int
    key: str
    is_control: bool
    is_active: bool


_held: _Held | None = None
_reading = threading.Lock()


def read_version() -> Version:
    """Ask what version the database is at; one query."""
    with connection.cursor() as cursor:
        cursor.execute(VERSION_SQL)
        row: Version = tuple(cursor.fetchone())
    return row


def snapshot_of(version: Version) -> Snapshot:
    """Return the snapshot, as new as ``version`` at least; no query while nothing has changed."""
    date = today()
    if (held := _usable(version, date)) is not None:
        return held.snapshot
    with _reading:
        # another thread may have read it meanwhile
        if (held := _usable(version, date)) is None:
            held = _read(version, date)
    return held.snapshot


def forget() -> None:
    """Drop the snapshot in memory."""
    global _held
    _held = None


def _usable(version: Version, date: dt.date) -> _Held | None:
    held = _held
    if held is None or held.version != version or held.date != date:
        return None
    return held if time.monotonic() - held.read_at < _LONGEST_SECONDS else None


@one_moment()
def _read(version: Version, date: dt.date) -> _Held:
    """Read what is there now; it is never older than ``version``, which was read before."""
    global _held
    begun = time.monotonic()
    experiments = {one.key: one for one in _served(date)}
    document = orjson.dumps(_rule_set(date, experiments))
    snapshot = Snapshot(experiments, document, hashlib.sha256(document).hexdigest()[:32])
    _held = _Held(version, date, begun, snapshot)
    return _held


def _rule_set(date: dt.date, experiments: Mapping[str, Served]) -> dict[str, object]:
    return {
        "version": 1,
        "date": date.isoformat(),
        "time_zone": timezone.get_default_timezone_name(),
        "experiments": [one.to_json() for one in experiments.values()],
    }


def _served(date: dt.date) -> list[Served]:
    """Read every experiment that visitors can meet, in the order of keys; four queries."""
    live = Experiment.objects.filter(archived_at=None).exclude(status=Status.DRAFT)
    variants, decisions = _variants(), _decisions(date)
    shares = _shares(decisions.values())
    found = []
    for pk, key, status, winner in live.order_by("key").values_list("pk", "key", "status", "winner_id"):
        decision = decisions.get(pk)
        parts = shares.get(decision.pk, {}) if decision else {}
        one = _one(key, status, winner, variants[pk], decision if parts else None, parts)
        if one is not None:
            found.append(one)
    return found


def _one(
    key: str,
    status: str,
    winner_id: int | None,
    variants: list[_Variant],
    decision: _Decision | None,
    parts: Mapping[str, int],
) -> Served | None:
    """Put one experiment together; None where it has nothing to show."""
    control = next((v for v in variants if v.is_control), None)
    winner = next((v for v in variants if v.pk == winner_id), control)
    fallback = winner if status == Status.COMPLETED else control
    if not parts:
        only = [fallback] if status == Status.COMPLETED and fallback else [v for v in variants if v.is_active]
        parts = _even(only)
    if not parts:
        return None
    is_over = status == Status.COMPLETED or (decision is not None and decision.kind not in _SPLIT_KINDS)
    return Served(
        key=key,
        status=status,
        allocation=decision.pk if decision else None,
        target_date=decision.target_date.isoformat() if decision else None,
        expires_at=_end_of(decision.target_date) if decision and status == Status.ACTIVE else None,
        parts=parts,
        shares={variant: share / PARTS for variant, share in parts.items()},
        fallback=fallback.key if fallback else None,
        is_fixed=is_over and max(parts.values()) == PARTS,
    )


def _even(variants: list[_Variant]) -> dict[str, int]:
    """Split evenly; what does not divide goes to the first ones."""
    if not variants:
        return {}
    share, rest = divmod(PARTS, len(variants))
    return {variant.key: share + (index < rest) for index, variant in enumerate(variants)}


def _end_of(date: dt.date) -> str:
    """Return the moment at which the day ends in the installation's time zone."""
    midnight = dt.datetime.combine(date + dt.timedelta(days=1), dt.time(), timezone.get_current_timezone())
    return midnight.isoformat()


def _variants() -> Mapping[int, list[_Variant]]:
    found: defaultdict[int, list[_Variant]] = defaultdict(list)
    rows = Variant.objects.order_by("experiment_id", "id")
    for experiment, pk, key, is_control, is_active in rows.values_list(
        "experiment_id", "pk", "key", "is_control", "is_active"
    ):
        found[experiment].append(_Variant(pk, key, is_control, is_active))
    return found


def _decisions(date: dt.date) -> Mapping[int, _Decision]:
    """Read the decision in force of each experiment."""
    newest = Allocation.objects.newest_of(Experiment.objects.values_list("pk", flat=True), date)
    rows = newest.order_by().values_list("experiment_id", "pk", "kind", "target_date")
    return {experiment: _Decision(pk, kind, target) for experiment, pk, kind, target in rows}


def _shares(decisions: Iterable[_Decision]) -> Mapping[int, dict[str, int]]:
    """Read the shares of these decisions, by their id; none that is zero."""
    rows = AllocationShare.objects.filter(allocation__in=[one.pk for one in decisions], share__gt=0)
    found: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for pk, key, share in rows.order_by("variant_id").values_list("allocation_id", "variant__key", "share"):
        found[pk][key] = round(share * PARTS)
    return found
