"""Decisions that are read back: the one in force and those of the past."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allocation.exceptions import NoAllocationError
from allocation.selectors import (
    allocation_history,
    allocation_in_force,
    current_allocations,
    history_dates,
)
from tests.factory import TODAY, allocate, counts, make_experiment, make_running, record, shares_of

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)


def test_allocation_in_force__none_yet__is_not_found() -> None:
    with pytest.raises(NoAllocationError):
        allocation_in_force(make_experiment(), TODAY)


def test_allocation_in_force__later_ones_exist__is_the_last_up_to_the_date() -> None:
    experiment = make_running()
    first = allocate(experiment)
    allocate(experiment, TODAY + 5 * DAY)

    assert allocation_in_force(experiment, TODAY + 4 * DAY).pk == first.pk
    assert current_allocations([experiment], TODAY + 4 * DAY)[experiment.pk].pk == first.pk


def test_allocation_history__revisions__only_the_last_of_each_date_newest_first() -> None:
    experiment = make_running()
    for n in range(3):
        allocate(experiment, TODAY + n * DAY)
    record(experiment, counts("control", 10000, 990))
    allocate(experiment, TODAY + DAY)

    history = allocation_history(experiment, end=TODAY + 2 * DAY, dates=30)

    assert [(a.target_date, a.revision) for a in history] == [
        (TODAY + 2 * DAY, 2), (TODAY + DAY, 2), (TODAY, 1),
    ]  # fmt: skip
    assert [a.target_date for a in allocation_history(experiment, end=TODAY + DAY, dates=1)] == [TODAY + DAY]


def test_history_dates__revisions__only_the_last_of_each_date_newest_first() -> None:
    experiment = make_running()
    for n in range(3):
        allocate(experiment, TODAY + n * DAY)
    record(experiment, counts("control", 10000, 990))
    last = allocate(experiment, TODAY + DAY)

    history = history_dates(experiment.pk)

    assert [entry.target_date for entry in history] == [TODAY + 2 * DAY, TODAY + DAY, TODAY]
    assert history[1].shares == shares_of(last)
    assert history_dates(experiment.pk, start=TODAY + DAY, end=TODAY + DAY) == [history[1]]
    assert history_dates(experiment.pk, dates=1) == [history[0]]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    days=st.lists(
        st.lists(st.tuples(st.integers(0, 3000), st.floats(0, 1)), min_size=2, max_size=5),
        min_size=1,
        max_size=5,
    ),
    floor=st.floats(0, 0.5),
    explore=st.floats(0, 0.49),
    cap=st.integers(1, 10_000),
)
def test_stored_allocations__any_history__keep_every_promise(
    days: list[list[tuple[int, float]]], floor: float, explore: float, cap: int
) -> None:
    experiment = make_experiment(control_floor=floor, min_explore_rate=explore, max_daily_shift=cap / 10_000)
    for n, day in enumerate(days):
        date = TODAY - (len(days) - n) * DAY
        record(experiment, *(counts(f"v{i}", c, int(c * r), date=date) for i, (c, r) in enumerate(day)))
        allocation = allocate(experiment, date + DAY)

        shares = list(allocation.shares.select_related("variant"))
        assert sum(share.share for share in shares) == 1
        for share in shares:
            least = max(explore / len(shares), floor if share.variant.is_control else 0)
            assert float(share.share) >= least - 1e-12
            moved = abs(share.share - (share.previous_share or 0))
            assert (
                moved <= Decimal(cap) / 10_000
                or "widened" in allocation.reason
                or share.share <= Decimal(least) + Decimal("0.0001")
            )
