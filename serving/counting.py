"""Counting what visitors did: increments of a day, exactly once, under the cap of the key that sends them."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.db import connection, transaction

from experiments.exceptions import InvalidError, InvalidRowsError, Issue, StatusConflictError
from experiments.ingestion.record import record_batch
from experiments.ingestion.single_values import SingleValues
from experiments.metrics import DailyCounts
from experiments.models import TAKES_EVENTS, Experiment
from experiments.selectors import find_experiment_ids
from serving.exceptions import CountsCappedError, CountsNotTakenError, CountsOutOfOrderError
from serving.models import CountedDay

# Increments name things in the words of clients.
_FIELDS = {"experiment_id": "experiment", "variant_name": "variant", "date": "day"}
_TOO_MANY = "too_many"
_KEPT_DAYS = 7


class Increments(NamedTuple):
    """Rows to add, each beside its experiment's key or id. ``values`` are single values of rows, by position."""

    rows: Sequence[tuple[str, DailyCounts]]
    values: SingleValues


class Counted(NamedTuple):
    increments: int
    experiments: int
    values_capped: int


class Cap(NamedTuple):
    """The most that ``principal`` may add to the counts of a day."""

    principal: str
    most: int


def count_increments(
    *, given: Increments, today: dt.date, now: dt.datetime, cap: Cap | None = None
) -> Counted:
    """Add the increments, all or none. Unknown variants are refused: a key in every browser makes none.

    Raises CountsOutOfOrderError, CountsNotTakenError, CountsCappedError, InvalidError.
    """
    try:
        with transaction.atomic():
            recorded = record_batch(
                rows=given.rows,
                values=given.values,
                today=today,
                now=now,
                mode="add",
                source="counts",
                new_variants="refuse",
            )
            if cap is not None:
                _count_against(cap, sum(sum(row.counts) for _reference, row in given.rows), today)
    except StatusConflictError:
        raise _not_taken(given.rows) from None
    except InvalidRowsError as error:
        raise _refused(error) from None
    return Counted(recorded.rows, recorded.experiments, recorded.values_capped)


def prune_counted_days(*, today: dt.date) -> int:
    """Delete what keys added on days that are over; return the number of rows."""
    over = CountedDay.objects.filter(date__lt=today - dt.timedelta(days=_KEPT_DAYS))
    return over.delete()[0]


def _count_against(cap: Cap, added: int, today: dt.date) -> None:
    """Add to what the key has counted today, or refuse; last, as requests with one key wait here for each other."""
    if added > cap.most:
        raise CountsCappedError
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO serving_countedday (principal, date, counted) VALUES (%s, %s, %s) "
            "ON CONFLICT (principal, date) DO UPDATE SET counted = serving_countedday.counted + excluded.counted "
            "WHERE serving_countedday.counted + excluded.counted <= %s",
            [cap.principal, today.isoformat(), added, cap.most],
        )
        if cursor.rowcount != 1:
            raise CountsCappedError


def _refused(error: InvalidRowsError) -> Exception:
    """Tell what can never be counted from what only came too early."""
    wrong = [(index, issue) for index, issue in error.row_issues if issue.code != _TOO_MANY]
    if wrong:
        return InvalidError(_issues(wrong), rows=_positions(wrong))
    early = [(index, issue._replace(code=CountsOutOfOrderError.code)) for index, issue in error.row_issues]
    message = "Clicks or conversions came before their impressions; send these increments again later."
    return CountsOutOfOrderError(message, **_named(early))


def _not_taken(rows: Sequence[tuple[str, DailyCounts]]) -> CountsNotTakenError:
    """Name the increments of experiments that take no counts."""
    ids = find_experiment_ids({reference for reference, _row in rows})
    open_ids = Experiment.objects.filter(
        pk__in=set(ids.values()), status__in=TAKES_EVENTS, archived_at=None
    ).values_list("pk", flat=True)
    taken = frozenset(open_ids)
    issue = Issue("experiment_id", CountsNotTakenError.code, "is not active or paused and takes no counts")
    found = [
        (index, issue) for index, (reference, _row) in enumerate(rows) if ids.get(reference) not in taken
    ]
    return CountsNotTakenError("Some experiments take no counts; drop these increments.", **_named(found))


def _named(found: Sequence[tuple[int, Issue]]) -> dict[str, object]:
    return {"rows": _positions(found), "errors": [issue._asdict() for issue in _issues(found)]}


def _positions(found: Iterable[tuple[int, Issue]]) -> list[int]:
    return sorted({index for index, _issue in found})


def _issues(found: Iterable[tuple[int, Issue]]) -> list[Issue]:
    return [
        issue._replace(field=f"increments[{index}].{_FIELDS.get(issue.field, issue.field)}")
        for index, issue in found
    ]
