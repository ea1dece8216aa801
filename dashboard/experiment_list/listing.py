"""Which experiments the list shows, in which order: worked out by the database.

One statement finds the experiments of a page and counts those of each stage. It reads a narrow row for each experiment
and for its newest decision, and daily rows only where that decision rests on no recent day.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from django.db import connection

from allocation.ledger.newest import IN_FORCE
from allocation.models import Kind, State
from dashboard.experiment.summary import STALE_AFTER_DAYS
from dashboard.experiment_list.stages import Flag, Listed, Stage
from experiments.database.rows import Row, rows_of
from experiments.models import Status
from notifications.events import EventKind

ATTENTION, BY_TRAFFIC = "attention", "traffic"
TRAFFIC_DAYS = 7
# No limit, which SQLite and PostgreSQL write otherwise.
_ALL = 2**31
_OF_STATE = {
    State.OPTIMIZING: Stage.LEARNING,
    State.LEADER: Stage.LEADER,
    State.DECIDED: Stage.READY,
}
_OF_STATUS = {Status.DRAFT: Stage.DRAFT, Status.PAUSED: Stage.PAUSED, Status.COMPLETED: Stage.ENDED}
_URGENT = (Stage.READY, Stage.LEADER, Stage.LEARNING, Stage.WARM_UP, Stage.PAUSED, Stage.DRAFT, Stage.ENDED)
# Those that are on their way to a decision.
_JUDGED = (Stage.LEARNING, Stage.LEADER, Stage.READY)


class Found(NamedTuple):
    """Those experiments that a search finds, as SQL of their ids with its parameters; blank for all."""

    sql: str = ""
    parameters: Sequence[Any] = ()

    @property
    def condition(self) -> str:
        return f"l.id IN ({self.sql})" if self.sql else "1 = 1"


class Asked(NamedTuple):
    """Whom the list shows: those found, of a stage (unknown: all that are not archived), in an order of ``SORTED``."""

    found: Found
    stage: str
    order: str


class Numbers(NamedTuple):
    """How many experiments there are of each stage, of those found, and how many of these need attention."""

    everything: int
    found: Mapping[str, int]
    attention: int

    def shown(self, stage: str) -> int:
        """Count those that a chip shows."""
        if stage == ATTENTION:
            return self.attention
        if stage in Stage.values:
            return self.found.get(stage, 0)
        return sum(self.found.values()) - self.found.get(Stage.ARCHIVED, 0)


def _cases(of: Mapping[Any, Any], column: str) -> str:
    return " ".join(f"WHEN {column} = '{value.value}' THEN '{stage.value}'" for value, stage in of.items())


def _among(stages: Sequence[Stage]) -> str:
    return ", ".join(f"'{stage.value}'" for stage in stages)


# The last day with data of an experiment, each variant's being the end of an index.
_LAST_DAY = """(SELECT max(own.last) FROM (
    SELECT (SELECT m.date FROM experiments_dailymetric m WHERE m.variant_id = v.id AND m.date <= {today}
        ORDER BY m.date DESC LIMIT 1) AS last
    FROM experiments_variant v WHERE v.experiment_id = e.id) own)"""
# At most two are counted: more are not alone either.
_ACTIVE = """(SELECT count(*) FROM (
    SELECT 1 FROM experiments_variant v WHERE v.experiment_id = k.id AND v.is_active LIMIT 2) two)"""
_ALARMS = f"""SELECT experiment_id, max(CASE WHEN kind = '{EventKind.SAMPLE_RATIO_MISMATCH.value}' THEN 1 ELSE 0 END)
        AS mismatch, max(CASE WHEN kind = '{EventKind.GUARD_WARNED.value}' THEN 1 ELSE 0 END) AS guard
    FROM notifications_alarm WHERE cleared_at IS NULL GROUP BY experiment_id"""  # noqa: S608 (constants only)
# Data is late where a running experiment has data, and none of the last days. A decision rests on days with data, so
# where it rests on one of the last days no daily row is read. No result is called one while traffic does not arrive as
# split, nor where nothing is compared. A mismatch is shown of what has ended, too: its result stays doubtful, though it
# waits for nobody; so are a mismatch and a guard's warning of what is paused.
_LISTED = f"""
WITH known AS (
    SELECT e.id, e.status, f.decision, f.value_remaining, coalesce(alarms.mismatch, 0) AS mismatch,
        coalesce(alarms.guard, 0) AS guard,
        CASE WHEN e.status <> '{Status.ACTIVE.value}' OR e.archived_at IS NOT NULL THEN 0 ELSE 1 END AS runs,
        CASE WHEN e.status <> '{Status.ACTIVE.value}' OR e.archived_at IS NOT NULL THEN 0
            WHEN f.data_through >= {{recent}} THEN 0
            WHEN {_LAST_DAY} < {{recent}} THEN 1 ELSE 0 END AS late,
        CASE WHEN e.archived_at IS NOT NULL THEN '{Stage.ARCHIVED.value}' {_cases(_OF_STATUS, "e.status")}
            WHEN f.kind = '{Kind.GUARD.value}' THEN '{Stage.GUARDED.value}' {_cases(_OF_STATE, "f.state")}
            ELSE '{Stage.WARM_UP.value}' END AS stage
    FROM experiments_experiment e LEFT JOIN ({IN_FORCE}) f ON f.experiment_id = e.id
    LEFT JOIN ({_ALARMS}) alarms ON alarms.experiment_id = e.id
), flagged AS {{once}} (
    SELECT k.*,
        CASE WHEN k.stage IN ({_among((Stage.LEADER, Stage.READY))}) AND {_ACTIVE} < 2 THEN 1 ELSE 0 END AS alone
    FROM known k
), listed AS {{once}} (
    SELECT id, status, decision, value_remaining, runs,
        CASE WHEN stage IN ({_among((Stage.LEADER, Stage.READY))}) AND mismatch + alone > 0
            THEN '{Stage.LEARNING.value}' ELSE stage END AS stage,
        CASE WHEN stage IN ({_among((Stage.ENDED, Stage.ARCHIVED))}) THEN 0 ELSE guard END AS guard,
        mismatch, late, runs * alone AS alone
    FROM flagged
)
"""  # noqa: S608 (constants only, here and below)
_ATTENTION = f"""(CASE WHEN l.runs * (l.mismatch + l.guard) + l.late + l.alone > 0
    OR l.stage IN ({_among((Stage.GUARDED, Stage.READY))}) THEN 1 ELSE 0 END)"""
_NUMBERS = f"""
SELECT l.stage, {_ATTENTION} AS urgent, count(*) AS everything, sum(CASE WHEN {{found}} THEN 1 ELSE 0 END) AS shown
FROM listed l GROUP BY 1, 2
"""  # noqa: S608
# The numbers as a text of JSON, which is worked out once: each row has it.
_AS_TEXT = {
    "postgresql": "CAST(json_agg(json_build_array(n.stage, n.urgent, n.everything, n.shown)) AS text)",
    "sqlite": "json_group_array(json_array(n.stage, n.urgent, n.everything, n.shown))",
}
_PAGE = """
{listed}
SELECT l.id, l.status, l.stage, l.mismatch, l.guard, l.late, l.alone, l.decision{numbers}
FROM listed l JOIN experiments_experiment e ON e.id = l.id {traffic}
WHERE {shown} AND {found} ORDER BY {order} LIMIT %s OFFSET %s
"""
# Sums of floats: PostgreSQL adds whole numbers of 64 bits up without bounds, which takes it a third longer.
_TRAFFIC = """LEFT JOIN (
    SELECT v.experiment_id, sum(m.total) AS total FROM (
        SELECT variant_id, sum(CAST(impressions AS double precision)) AS total FROM experiments_dailymetric
        WHERE date > {week_ago} AND date <= {today} GROUP BY variant_id
    ) m JOIN experiments_variant v ON v.id = m.variant_id GROUP BY v.experiment_id
) traffic ON traffic.experiment_id = l.id"""
_NEWEST = "e.created_at DESC, e.id DESC"
_URGENCY = " ".join(
    [
        f"CASE WHEN l.stage = '{Stage.GUARDED.value}' THEN 0",
        *(f"WHEN l.runs * l.{flag.value} > 0 THEN {n}" for n, flag in enumerate(Flag, start=1)),
        *(f"WHEN l.stage = '{stage.value}' THEN {n}" for n, stage in enumerate(_URGENT, start=len(Flag) + 1)),
        f"ELSE {len(Flag) + len(_URGENT) + 1} END",
    ]
)
# How rows are sorted, by the order's name in the address; of equal ones the newest comes first.
SORTED = {
    ATTENTION: f"{_URGENCY}, {_NEWEST}",
    "newest": _NEWEST,
    "changed": f"e.updated_at DESC, {_NEWEST}",
    "name": "lower(e.name), e.id",
    BY_TRAFFIC: f"coalesce(traffic.total, 0) DESC, {_NEWEST}",
    "decision": f"CASE WHEN l.stage IN ({_among(_JUDGED)}) AND l.value_remaining IS NOT NULL THEN 0 ELSE 1 END, "
    f"coalesce(l.value_remaining, 0), {_NEWEST}",
}


class Look(NamedTuple):
    """The experiments of a page, and the numbers of all."""

    numbers: Numbers
    page: Sequence[Listed]


def look_of(asked: Asked, today: dt.date, *, start: int, most: int) -> Look:
    """Find the experiments of a page and count all; one statement, or two where the page has none."""
    numbers = _NUMBERS.format(found=asked.found.condition)
    column = f", (SELECT {_AS_TEXT[connection.vendor]} FROM ({numbers}) n)"  # noqa: S608 (constants only)
    own = asked.found.parameters
    rows = rows_of(_page(asked, today, numbers=column), [*own, *own, most, start])
    counted = orjson.loads(rows[0][-1]) if rows else rows_of(_listed(today) + numbers, [*own])
    return Look(_numbers(counted), [_read(*row[:-1]) for row in rows])


def page_of(asked: Asked, today: dt.date, *, start: int = 0, most: int = _ALL) -> list[Listed]:
    """Find the experiments of a page, or all, in order; one statement."""
    rows = rows_of(_page(asked, today), [*asked.found.parameters, most, start])
    return [_read(*row) for row in rows]


def _page(asked: Asked, today: dt.date, numbers: str = "") -> str:
    days = {"today": _literal(today), "week_ago": _literal(today - dt.timedelta(days=TRAFFIC_DAYS))}
    return _PAGE.format(
        listed=_listed(today),
        numbers=numbers,
        traffic=_TRAFFIC.format(**days) if asked.order == BY_TRAFFIC else "",
        shown=_shown(asked.stage),
        found=asked.found.condition,
        order=SORTED[asked.order],
    )


def _numbers(rows: Sequence[Row]) -> Numbers:
    of_stage: Counter[str] = Counter()
    for stage, _is_urgent, _all, shown in rows:
        of_stage[stage] += shown
    attention = sum(shown for _stage, is_urgent, _all, shown in rows if is_urgent)
    return Numbers(sum(row[2] for row in rows), of_stage, attention)


def _read(pk: int, status: str, stage: str, *rest: Any) -> Listed:
    *raised, decision = rest
    flags = tuple(flag for flag, is_raised in zip(Flag, raised, strict=True) if is_raised)
    return Listed(pk, status, Stage(stage), flags, decision)


def _shown(stage: str) -> str:
    if stage == ATTENTION:
        return f"{_ATTENTION} = 1"
    if stage in Stage.values:
        return f"l.stage = '{stage}'"
    return f"l.stage <> '{Stage.ARCHIVED.value}'"


def _listed(today: dt.date) -> str:
    # each row is worked out once: PostgreSQL would repeat an expression wherever it is used. What is known of one is
    # cheap, or used in one place: to keep it apart takes longer.
    once = "MATERIALIZED" if connection.vendor == "postgresql" else ""
    recent = today - dt.timedelta(days=STALE_AFTER_DAYS)
    return _LISTED.format(once=once, today=_literal(today), recent=_literal(recent))


def _literal(date: dt.date) -> str:
    return f"'{date.isoformat()}'"
