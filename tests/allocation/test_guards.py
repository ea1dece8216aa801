"""Guards: harm that is notified or acted on, what the decision log keeps of it, and the way back."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from allocation.campaigns.guards import is_stopped, resume_after_guard
from allocation.exceptions import NotStoppedError
from allocation.ledger.inputs import AllocationInputs
from allocation.ledger.verification import verify_ledger
from allocation.models import Allocation, Kind, State
from allocation.services import compute_allocation, compute_allocations
from allocation.sweep import run_daily_sweep
from experiments.campaign.models import Guard, GuardAction
from experiments.campaign.watch import add_guard, delete_guard
from experiments.metrics import Reward
from experiments.models import Experiment, Status
from experiments.services import change_status
from notifications.events import EventKind
from notifications.models import Alarm, Delivery, Endpoint
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, record, shares_of

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)


def make_guarded(action: GuardAction = GuardAction.ACT, *, days: int = 20, **fields: Any) -> Experiment:
    """Clicks rise by a fifth, conversions fall by half: 2,000 visitors a day, even; the guard allows 5% less."""
    experiment = make_experiment(**fields)
    add_days(experiment, TODAY - days * DAY, TODAY - DAY)
    add_guard(
        experiment_id=experiment.pk,
        metric=Reward.CONVERSION_RATE,
        max_fall=5,
        action=action,
        now=NOW,
    )
    return experiment


def add_days(experiment: Experiment, first: dt.date, last: dt.date, conversions: int = 25) -> None:
    """``conversions``: b's on each day, beside 50 of the control."""
    for n in range((last - first).days + 1):
        date = first + n * DAY
        record(
            experiment,
            counts("control", 1000, 100, 50, date=date),
            counts("b", 1000, 120, conversions, date=date),
            today=last,
        )


def endpoint(*kinds: EventKind) -> Endpoint:
    return Endpoint.objects.create(name="ops", address="https://example.com/", events=list(kinds))


def events() -> list[str]:
    return list(Delivery.objects.order_by("id").values_list("event__kind", flat=True))


def problems() -> list[str]:
    return [problem for found in verify_ledger() for problem in found.differences]


def test_guard_that_acts__harm__gives_the_control_all_traffic_and_says_why() -> None:
    allocation = allocate(make_guarded())

    assert shares_of(allocation) == {"control": 1.0, "b": 0.0}
    assert allocation.kind == Kind.GUARD
    assert allocation.reason == (
        "Guard: b is more than 5% below the control in conversion rate; the control gets all traffic "
        "until a person resumes."
    )
    assert allocation.harms == [
        {"metric": "conversion_rate", "variant": "b", "max_fall": 5.0, "action": "act"}
    ]
    assert allocation.state == State.LEADER  # it leads in clicks; "decided" is blocked
    b = allocation.shares.get(variant__name="b")
    assert b.bound == "none"
    assert b.probability_best == pytest.approx(1, abs=1e-4)


def test_guard_that_acts__verify_ledger__finds_the_stop_from_the_recorded_inputs() -> None:
    allocation = allocate(make_guarded())

    assert problems() == []
    recorded = AllocationInputs.from_json(allocation.recorded_inputs, allocation.experiment_id)
    assert [(harm.metric, harm.variant) for harm in recorded.harms(TODAY.toordinal())] == [
        ("conversion_rate", "b")
    ]


def test_guard__equal_inputs__write_nothing() -> None:
    experiment = make_guarded()

    allocate(experiment)
    allocate(experiment)

    assert Allocation.objects.filter(experiment=experiment).count() == 1


def test_guard_that_acts__the_next_day__stays_stopped_even_where_the_data_are_corrected() -> None:
    experiment = make_guarded()
    allocate(experiment)
    add_days(experiment, TODAY - 20 * DAY, TODAY - DAY, conversions=50)

    tomorrow = allocate(experiment, TODAY + DAY)

    assert (tomorrow.kind, tomorrow.harms) == (Kind.GUARD, [])
    assert tomorrow.reason == "Stopped by a guard; the control gets all traffic until a person resumes."
    assert problems() == []


def test_guard_that_acts__deleted_after_the_stop__stays_stopped() -> None:
    experiment = make_guarded()
    allocate(experiment)
    delete_guard(experiment=experiment, guard_id=Guard.objects.get().pk, now=NOW)

    assert allocate(experiment, TODAY + DAY).kind == Kind.GUARD


def test_guard_that_tells__harm__splits_on_and_blocks_decided() -> None:
    unguarded, guarded = make_guarded(GuardAction.TELL), make_guarded(GuardAction.TELL, name="Other")
    Guard.objects.filter(experiment=unguarded).delete()

    assert (allocate(unguarded).state, allocate(guarded).state) == (State.DECIDED, State.LEADER)
    assert shares_of(allocate(guarded)) == shares_of(allocate(unguarded))
    assert allocate(guarded).kind == Kind.OPTIMIZED
    assert problems() == []


def test_guard__no_harm__changes_nothing() -> None:
    experiment = make_guarded()
    add_days(experiment, TODAY - 20 * DAY, TODAY - DAY, conversions=50)

    allocation = allocate(experiment)

    assert (allocation.kind, allocation.harms) == (Kind.OPTIMIZED, [])


def test_guard__without_any__leaves_no_trace_in_the_inputs() -> None:
    experiment = make_guarded()
    Guard.objects.all().delete()

    allocation = allocate(experiment)

    assert allocation.harms is None
    assert "guarding" not in allocation.recorded_inputs


def test_guard__a_single_day_of_harm__waits_for_the_second() -> None:
    experiment = make_guarded(days=1, min_impressions=0)
    add_days(experiment, TODAY - DAY, TODAY - DAY, conversions=0)
    assert allocate(experiment).kind == Kind.OPTIMIZED

    add_days(experiment, TODAY, TODAY, conversions=0)

    assert allocate(experiment).kind == Kind.GUARD


def test_guard__days_that_are_not_mature__do_not_count() -> None:
    experiment = make_guarded(days=20, maturity_days=19)

    assert allocate(experiment).harms == []


def test_guard__fewer_impressions_than_a_variant_needs_to_be_judged__says_nothing() -> None:
    # 20,000 each of the 30,000 that 60,000 for both come to
    assert allocate(make_guarded(min_impressions=60_000)).harms == []


def test_guard__a_window_of_two_days__counts_all_days_since_the_start() -> None:
    # over the window alone 30 conversions fewer in 4,000 visits would be no harm yet
    experiment = make_guarded(window_days=2)
    add_days(experiment, TODAY - 20 * DAY, TODAY - DAY, conversions=40)

    assert allocate(experiment).kind == Kind.GUARD
    assert problems() == []


def test_guard__retired_variant__harms_nobody() -> None:
    experiment = make_guarded()
    experiment.variants.filter(name="b").update(is_active=False)

    assert allocate(experiment).kind == Kind.OPTIMIZED


def test_resume_after_guard__same_data__splits_again_from_the_control_by_the_cap() -> None:
    experiment = make_guarded()
    allocate(experiment, TODAY - DAY)

    entry = resume_after_guard(experiment_id=experiment.pk, target_date=TODAY, now=NOW)

    assert entry.allocation.kind == Kind.OPTIMIZED
    assert shares_of(entry.allocation) == {"control": 0.8, "b": 0.2}
    experiment.refresh_from_db()
    assert experiment.guards_since == TODAY
    assert Experiment.history.first().history_change_reason == '{"event": "guard.resumed"}'
    assert problems() == []


def test_resume_after_guard__harm_goes_on__stops_again_on_new_data_alone() -> None:
    experiment = make_guarded()
    allocate(experiment)
    resume_after_guard(experiment_id=experiment.pk, target_date=TODAY, now=NOW)
    add_days(experiment, TODAY, TODAY, conversions=0)
    assert allocate(experiment, TODAY + DAY).kind == Kind.OPTIMIZED

    add_days(experiment, TODAY + DAY, TODAY + DAY, conversions=0)

    assert allocate(experiment, TODAY + 2 * DAY).kind == Kind.GUARD
    assert problems() == []


def test_resume_after_guard__nothing_stopped__is_refused() -> None:
    experiment = make_guarded(GuardAction.TELL)
    allocate(experiment)

    with pytest.raises(NotStoppedError, match="not stopped by a guard"):
        resume_after_guard(experiment_id=experiment.pk, target_date=TODAY, now=NOW)


def test_is_stopped__paused__is_not() -> None:
    experiment = make_guarded()
    allocate(experiment)
    assert is_stopped(experiment, TODAY)

    paused = change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)

    assert not is_stopped(paused, TODAY)


@pytest.mark.parametrize(
    ("action", "kind"),
    [(GuardAction.TELL, EventKind.GUARD_WARNED), (GuardAction.ACT, EventKind.GUARD_ACTED)],
)
def test_guard__harm_day_after_day__is_reported_once(action: GuardAction, kind: EventKind) -> None:
    endpoint(*(EventKind.GUARD_WARNED, EventKind.GUARD_ACTED))
    experiment = make_guarded(action)

    for n in range(3):
        add_days(experiment, TODAY + n * DAY, TODAY + n * DAY)
        compute_allocation(experiment_id=experiment.pk, target_date=TODAY + n * DAY, now=NOW + n * DAY)

    assert events() == [kind]
    assert Alarm.objects.filter(kind=kind, cleared_at=None).count() == 1


def test_guard_that_tells__a_second_variant__is_another_harm() -> None:
    endpoint(EventKind.GUARD_WARNED)
    experiment = make_guarded(GuardAction.TELL)
    allocate(experiment)
    for n in range(1, 21):
        record(experiment, counts("c", 1000, 100, 20, date=TODAY - n * DAY))

    allocate(experiment)

    notified = [row.event.payload["data"] for row in Delivery.objects.order_by("id")]
    assert [data["variant"] for data in notified] == ["b", "c"]
    assert [
        harm["variant"]
        for harm in Alarm.objects.get(kind=EventKind.GUARD_WARNED, cleared_at=None).facts["harms"]
    ] == ["b", "c"]


def test_guard_that_tells__harm_that_is_corrected__clears_the_alarm() -> None:
    experiment = make_guarded(GuardAction.TELL)
    allocate(experiment)
    add_days(experiment, TODAY - 20 * DAY, TODAY - DAY, conversions=50)

    allocate(experiment)

    assert Alarm.objects.filter(kind=EventKind.GUARD_WARNED, cleared_at=None).count() == 0


def test_guard_that_acts__resumed_and_harmful_again__is_reported_again() -> None:
    endpoint(EventKind.GUARD_ACTED)
    experiment = make_guarded()
    allocate(experiment)
    resume_after_guard(experiment_id=experiment.pk, target_date=TODAY, now=NOW)
    add_days(experiment, TODAY, TODAY + DAY, conversions=0)

    allocate(experiment, TODAY + 2 * DAY)

    assert events() == [EventKind.GUARD_ACTED] * 2


def test_guard__harms_of_many__cost_no_query_each() -> None:
    def queries() -> int:
        Alarm.objects.all().delete()
        Allocation.objects.all().delete()
        ids = list(Experiment.objects.values_list("pk", flat=True))
        with CaptureQueriesContext(connection) as captured:
            compute_allocations(experiment_ids=ids, target_date=TODAY, now=NOW)
        return len(captured)

    make_guarded(name="First")
    one = queries()
    for n in range(3):
        make_guarded(name=f"Further {n}")

    assert queries() == one
    assert Alarm.objects.filter(kind=EventKind.GUARD_ACTED, cleared_at=None).count() == 4


def test_sweep__last_guard_deleted__clears_its_warning() -> None:
    experiment = make_guarded(GuardAction.TELL)
    allocate(experiment)
    delete_guard(experiment=experiment, guard_id=Guard.objects.get().pk, now=NOW)

    run_daily_sweep(target_date=TODAY, now=NOW)

    assert Alarm.objects.get(kind=EventKind.GUARD_WARNED).cleared_at == NOW


def test_guard_on_values__harm__acts_and_verifies() -> None:
    experiment = make_guarded()
    Guard.objects.update(metric=Reward.VALUE_PER_IMPRESSION)
    for n in range(1, 21):
        date = TODAY - n * DAY
        record(
            experiment,
            counts("control", 1000, 100, 50, date=date)._replace(
                value_sum=Decimal(1000), value_squares=30_000.0
            ),
            counts("b", 1000, 120, 50, date=date)._replace(value_sum=Decimal(500), value_squares=7_500.0),
        )

    allocation = allocate(experiment)

    assert allocation.kind == Kind.GUARD
    assert allocation.reason.startswith("Guard: b is more than 5% below the control in value per impression;")
    assert "value_sum" in allocation.recorded_inputs["counts"]
    assert problems() == []
