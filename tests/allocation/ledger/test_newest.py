import datetime as dt
from typing import Any

import pytest
from django.db import connection

from allocation.ledger.newest import IN_FORCE
from allocation.models import Allocation, NewestDecision
from allocation.services import compute_allocations
from experiments.database.rows import rows_of
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

DAY = dt.timedelta(days=1)
_NAMES = ("target_date", "revision", "kind", "state", "data_through", "value_remaining", "gained_over_even")


def kept() -> list[Any]:
    """Return what the database keeps, in the order of the experiments."""
    return list(NewestDecision.objects.order_by("experiment").values_list("experiment", "decision", *_NAMES))


def newest_of_the_log() -> list[Any]:
    last: dict[int, Any] = {}
    for pk, *row in Allocation.objects.order_by("target_date", "revision").values_list(
        "experiment", "pk", *_NAMES
    ):
        last[pk] = (pk, *row)
    return [last[pk] for pk in sorted(last)]


def test_newest__decisions_of_many_at_once_and_again__is_the_last_of_each() -> None:
    experiments = [make_running(f"E{n}") for n in range(3)]
    ids = [one.pk for one in experiments]
    for age in (2, 1, 0):
        compute_allocations(experiment_ids=ids, target_date=TODAY - age * DAY, now=NOW)
    record(experiments[1], counts("control", 500, 400))
    compute_allocations(experiment_ids=ids, target_date=TODAY, now=NOW)

    assert Allocation.objects.count() == 10
    assert kept() == newest_of_the_log()


def test_newest__row_that_somebody_changes__follows_it() -> None:
    allocate(make_running())

    Allocation.objects.update(state="decided")

    assert [row.state for row in NewestDecision.objects.all()] == ["decided"]


def test_newest__deleted_experiment__goes_with_it() -> None:
    experiment = make_running()
    allocate(experiment)

    experiment.delete()

    assert not NewestDecision.objects.exists()


def test_in_force__decided_for_tomorrow_too__is_that_of_today() -> None:
    tomorrow, never = make_running("Tomorrow"), make_experiment("Never")
    today = allocate(tomorrow).pk
    later = allocate(tomorrow, TODAY + DAY).pk

    def in_force(date: dt.date) -> list[Any]:
        return [tuple(row[:2]) for row in rows_of(IN_FORCE.format(today=f"'{date}'"), [])]

    assert in_force(TODAY) == [(tomorrow.pk, today)]
    assert in_force(TODAY + DAY) == [(tomorrow.pk, later)]
    assert in_force(TODAY - DAY) == []
    assert never.pk not in dict(in_force(TODAY))


def test_newest__statement_that_writes_many__fires_once_on_postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has triggers for rows alone")
    rows = rows_of(
        "SELECT tgname, tgtype & 1 FROM pg_trigger "
        "WHERE tgrelid = 'allocation_allocation'::regclass AND NOT tgisinternal ORDER BY tgname",
        [],
    )

    assert [tuple(row) for row in rows] == [
        ("allocation_newest_inserted", 0),
        ("allocation_newest_updated", 0),
    ]
