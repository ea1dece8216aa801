"""The end of an experiment undone: back to what it was before, and the decision log keeps both."""

import datetime as dt
from typing import Any

import pytest

from allocation.campaigns.guards import is_stopped
from allocation.campaigns.schedule import DECIDED_REASON, complete_decided, follow_schedules
from allocation.campaigns.undo import undo_completion
from allocation.exceptions import NoActiveVariantError
from allocation.ledger.verification import verify_ledger
from allocation.models import Allocation, Kind
from allocation.sample_ratio import sample_ratio_of
from allocation.selectors import allocation_in_force, experiments_for_allocation
from allocation.services import complete_experiment, compute_allocation
from experiments.campaign.ending import UNDO_TRANSITIONS, can_undo, undo_until
from experiments.campaign.models import End
from experiments.exceptions import StatusConflictError, UndoExpiredError
from experiments.models import Experiment, Status
from experiments.services import archive_experiment, change_status
from notifications.events import EventKind
from notifications.models import Delivery, Endpoint
from tests.allocation.test_campaigns import make_decided
from tests.allocation.test_guards import add_days, make_guarded
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record, shares_of

pytestmark = pytest.mark.django_db

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


def end(experiment: Experiment, winner: str = "variant_b", now: dt.datetime = NOW, reason: str = "") -> None:
    complete_experiment(
        experiment_id=experiment.pk,
        target_date=now.date(),
        now=now,
        winner_id=experiment.variants.get(name=winner).pk,
        decision_reason=reason,
    )


def undo(experiment: Experiment, now: dt.datetime = NOW + HOUR) -> Experiment:
    return undo_completion(experiment_id=experiment.pk, now=now)


def in_force(experiment: Experiment, date: dt.date = TODAY) -> Allocation:
    return allocation_in_force(experiment, date)


def differences() -> list[str]:
    return [problem for found in verify_ledger() for problem in found.differences]


def test_undo__active_experiment__is_active_again_and_decides_from_its_data() -> None:
    experiment = make_running()
    split = shares_of(allocate(experiment))
    end(experiment, reason="Sells more.")
    assert shares_of(in_force(experiment)) == {"control": 0.0, "variant_b": 1.0}

    undone = undo(experiment)

    assert (undone.status, undone.winner, undone.decision_reason) == (Status.ACTIVE, None, "")
    assert shares_of(in_force(experiment)) == split
    assert [row.kind for row in experiment.allocations.order_by("revision")] == [
        Kind.OPTIMIZED,
        Kind.COMPLETED,
        Kind.OPTIMIZED,
    ]
    assert differences() == []


def test_undo__paused_experiment__gets_the_split_back_that_it_was_paused_with() -> None:
    experiment = make_running()
    split = shares_of(allocate(experiment, TODAY - DAY))
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)
    record(experiment, counts("control", 9000, 900), counts("variant_b", 9000, 90))
    end(experiment)

    undone = undo(experiment)

    assert undone.status == Status.PAUSED
    assert shares_of(in_force(experiment)) == split
    assert differences() == []


def test_undo__paused_before_anything_was_decided__splits_traffic_again() -> None:
    experiment = make_running()
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)
    end(experiment)

    assert undo(experiment).status == Status.PAUSED
    assert in_force(experiment).kind == Kind.OPTIMIZED
    assert differences() == []


@pytest.mark.parametrize("seconds", [-1, 0])
def test_undo__day_is_over__is_refused_from_the_second_on(seconds: int) -> None:
    experiment = make_running()
    end(experiment)
    experiment.refresh_from_db()
    moment = NOW + DAY + seconds * dt.timedelta(seconds=1)

    assert undo_until(experiment) == NOW + DAY
    assert can_undo(experiment, moment) == (seconds < 0)
    if seconds < 0:
        assert undo(experiment, moment).status == Status.ACTIVE
    else:
        with pytest.raises(UndoExpiredError, match="could be undone until 2025-09-02 12:00 UTC"):
            undo(experiment, moment)


def test_undo__end_of_unknown_time__is_refused() -> None:
    experiment = make_experiment(status=Status.COMPLETED)

    with pytest.raises(UndoExpiredError, match="not known"):
        undo(experiment)


@pytest.mark.parametrize("status", [s for s in Status if s not in UNDO_TRANSITIONS])
def test_undo__experiment_that_has_not_ended__is_a_conflict(status: Status) -> None:
    experiment = make_experiment(status=status)

    with pytest.raises(StatusConflictError, match="only an end can be undone"):
        undo(experiment)


def test_undo__twice__is_a_conflict_the_second_time() -> None:
    experiment = make_running()
    end(experiment)
    undo(experiment)

    with pytest.raises(StatusConflictError):
        undo(experiment)


def test_undo__archived__wants_it_restored_first() -> None:
    experiment = make_running()
    end(experiment)
    archive_experiment(experiment_id=experiment.pk, now=NOW)

    with pytest.raises(StatusConflictError, match="unarchive"):
        undo(experiment)


def test_undo__next_day__counts_each_day_of_gains_once() -> None:
    """An experiment that was never ended is the measure."""
    gains = []
    for is_ended in (False, True):
        experiment = make_experiment(f"Ended {is_ended}")
        for n in range(6, 0, -1):
            date = TODAY - n * DAY
            record(experiment, counts("control", 1000, 100, date=date), counts("b", 1000, 130, date=date))
            allocate(experiment, date + DAY)
        if is_ended:
            end(experiment, "b", NOW + 6 * HOUR)
            undo(experiment, NOW + 20 * HOUR)
        record(experiment, counts("control", 1000, 100), counts("b", 3000, 390), today=TODAY + DAY)
        compute_allocation(experiment_id=experiment.pk, target_date=TODAY + DAY, now=NOW + 21 * HOUR)
        gains.append(in_force(experiment, TODAY + DAY))

    whole, undone = gains
    assert undone.gained_over_even == pytest.approx(whole.gained_over_even)
    assert undone.gained_over_even != 0
    assert shares_of(undone) == shares_of(whole)
    assert differences() == []


def test_undo__stopped_by_a_guard_before__is_stopped_again_the_next_day() -> None:
    experiment = make_guarded()
    allocate(experiment)
    assert is_stopped(experiment, TODAY)
    end(experiment, "b", NOW + 6 * HOUR)

    add_days(undo(experiment, NOW + 20 * HOUR), TODAY, TODAY, conversions=60)
    compute_allocation(experiment_id=experiment.pk, target_date=TODAY + DAY, now=NOW + 21 * HOUR)

    experiment.refresh_from_db()
    assert is_stopped(experiment, TODAY + DAY)
    assert differences() == []


def test_undo__days_with_traffic_of_both__are_not_compared_with_the_split() -> None:
    experiment = make_experiment()
    for n in range(3, 0, -1):
        date = TODAY - n * DAY
        record(experiment, counts("control", 1000, 100, date=date), counts("b", 1000, 100, date=date))
        allocate(experiment, date + DAY)
    end(experiment, "b", NOW)
    undo(experiment, NOW + 6 * HOUR)
    record(experiment, counts("control", 500, 50), counts("b", 9000, 900))

    found = sample_ratio_of(experiments_for_allocation(TODAY).get(pk=experiment.pk), TODAY)

    assert found is not None
    assert (found.mismatch, found.days, found.compared_days) == (False, 4, 2)


def test_undo__ended_on_schedule__does_not_end_again_and_a_later_end_is_no_fallback() -> None:
    experiment = make_running(ends_at=NOW - HOUR, on_end=End.LEADER)
    assert follow_schedules(now=NOW) == 1

    undo(experiment)

    assert follow_schedules(now=NOW + 2 * HOUR) == 0
    end(experiment, now=NOW + 3 * HOUR)
    assert in_force(experiment).kind == Kind.COMPLETED
    assert differences() == []


def test_undo__completed_once_decided__does_not_complete_by_itself_again() -> None:
    experiment = make_decided(complete_when_decided=True)
    allocate(experiment)
    assert complete_decided(target_date=TODAY, now=NOW) == 1
    assert Experiment.objects.get().decision_reason == DECIDED_REASON

    assert undo(experiment).complete_when_decided is False
    assert complete_decided(target_date=TODAY, now=NOW + 2 * HOUR) == 0


def test_undo__endpoint_that_wants_changes__is_reported_of_the_split() -> None:
    experiment = make_running()
    allocate(experiment, TODAY - DAY)
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)
    end(experiment)
    Endpoint.objects.create(name="a", address="https://example.com/", events=[EventKind.ALLOCATION_CHANGED])

    undo(experiment)

    payload: dict[str, Any] = Delivery.objects.get().event.payload["data"]
    assert (payload["previous_shares"], payload["revision"]) == ({"control": 0.0, "variant_b": 1.0}, 2)


def test_undo__keeps_the_end_in_the_history() -> None:
    experiment = make_running()
    end(experiment, reason="Sells more.")
    undo(experiment)

    records = Experiment.history.filter(id=experiment.pk).order_by("history_id")
    assert [(row.status, row.decision_reason) for row in records] == [
        ("active", ""),
        ("completed", "Sells more."),
        ("active", ""),
    ]


def test_undo__without_variants__is_open_again() -> None:
    experiment = make_experiment()
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)

    assert undo(experiment).status == Status.ACTIVE
    with pytest.raises(NoActiveVariantError):
        allocate(experiment)
