"""Counters for Prometheus, of the services' events (experiments/events.py) and of database queries.

A counter belongs to a process. With PROMETHEUS_MULTIPROC_DIR it is kept in a file, and each worker sums the files of
all. Values that can be read from the database are gauges instead (gauges.py): those are right in every process, also
where commands run on another machine.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from prometheus_client import Counter, Histogram

from experiments.events import subscribe

ALLOCATIONS = Counter(
    "bandit_allocations_computed", "Decisions recorded, by kind (warm_up, optimized, completed).", ["kind"]
)
LIMITS = Counter("bandit_limits_bound", "Shares held by a limit, by limit.", ["limit"])
FAILURES = Counter(
    "bandit_allocations_failed", "Experiments that a sweep could not decide, by code.", ["code"]
)
ROWS = Counter("bandit_ingested_rows", "Daily rows recorded, by source.", ["source"])
ALARMS = Counter("bandit_alarms_raised", "Alarms raised, by kind.", ["kind"])
ATTEMPTS = Counter("bandit_delivery_attempts", "Attempts to deliver notifications, by outcome.", ["outcome"])
QUERY_SECONDS = Histogram(
    "bandit_database_query_seconds",
    "Time of each statement.",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
QUERY_ERRORS = Counter("bandit_database_errors", "Statements that failed, by error.", ["type"])

_is_counting = ContextVar("counting", default=True)


def _allocation(facts: Mapping[str, Any]) -> None:
    ALLOCATIONS.labels(facts["kind"]).inc()
    for limit, shares in facts["bounds"].items():
        if limit != "none":
            LIMITS.labels(limit).inc(shares)


_COUNTED: dict[str, Callable[[Mapping[str, Any]], None]] = {
    "allocation.computed": _allocation,
    "allocation.failed": lambda facts: FAILURES.labels(facts["code"]).inc(),
    "events.recorded": lambda facts: ROWS.labels(facts["source"]).inc(facts["rows"]),
    "alarm.raised": lambda facts: ALARMS.labels(facts["kind"]).inc(),
    "delivery.attempted": lambda facts: ATTEMPTS.labels(facts["outcome"]).inc(),
}


def count(event: str, facts: Mapping[str, Any]) -> None:
    if counted := _COUNTED.get(event):
        counted(facts)


def start_counting() -> None:
    """Subscribe to events and connections, once in each process, when Django is ready."""
    subscribe(count)
    connection_created.connect(_watch, dispatch_uid="bandit-query-metrics")


def _watch(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if _timed not in connection.execute_wrappers:
        connection.execute_wrappers.append(_timed)


@contextmanager
def uncounted() -> Iterator[None]:
    """Do not count the statements inside: /metrics must not change its own answer."""
    token = _is_counting.set(False)
    try:
        yield
    finally:
        _is_counting.reset(token)


def _timed(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    if not _is_counting.get():
        return execute(sql, params, many, context)
    start = time.perf_counter()
    try:
        return execute(sql, params, many, context)
    except Exception as error:
        QUERY_ERRORS.labels(type(error).__name__).inc()
        raise
    finally:
        QUERY_SECONDS.observe(time.perf_counter() - start)
