"""Experiments that start, end and complete by themselves."""

import datetime as dt
from typing import Any

import pytest
from django.core.management import call_command

from allocation.campaigns.schedule import (
    HARM_REASON,
    INACTIVE_REASON,
    MISMATCH_REASON,
    complete_decided,
    expires_at,
    follow_schedules,
)
from allocation.ledger.verification import verify_ledger
from allocation.models import Allocation, Kind, State
from allocation.sweep import run_daily_sweep
from bandit_project.ops.scheduler import run_due
from experiments.campaign.models import End, GuardAction
from experiments.campaign.watch import add_guard
from experiments.metrics import Reward
from experiments.models import Experiment, Status
from experiments.services import change_status, update_experiment
from notifications.events import EventKind
from notifications.models import Alarm, Delivery, Endpoint
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record, shares_of

pytestmark = pytest.mark.django_db

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def _endpoint() -> None:
    Endpoint.objects.create(
        name="ops",
        address="https://example.com/",
        events=[EventKind.EXPERIMENT_STARTED, EventKind.EXPERIMENT_ENDED, EventKind.EXPERIMENT_COMPLETED],
    )


def notified() -> list[tuple[str, dict[str, Any]]]:
    rows = Delivery.objects.order_by("id").select_related("event")
    return [(row.event.kind, row.event.payload["data"]) for row in rows]


def make_ending(on_end: End, **fields: Any) -> Experiment:
    """The README's example, in which b leads; its end was an hour ago."""
    return make_running(ends_at=NOW - HOUR, on_end=on_end, **fields)


def make_decided(**fields: Any) -> Experiment:
    experiment = make_experiment(**fields)
    for n in range(1, 21):
        date = TODAY - n * DAY
        record(experiment, counts("control", 1000, 100, 50, date=date), counts("b", 1000, 150, 25, date=date))
    return experiment


def make_alone(*, inactive: bool, **fields: Any) -> Experiment:
    """With 19 days of data of one active variant, and perhaps a second one that has been set inactive."""
    experiment = make_experiment(**fields)
    for n in range(1, 20):
        rows = [counts(name, 20000, 1000, date=TODAY - n * DAY) for name in ("control", "b")[: 1 + inactive]]
        record(experiment, *rows)
    experiment.variants.filter(name="b").update(is_active=False)
    return experiment


def test_follow_schedules__start_has_come__starts_the_draft_once_and_tells() -> None:
    draft = make_experiment(status=Status.DRAFT, starts_at=NOW)

    assert [follow_schedules(now=NOW), follow_schedules(now=NOW)] == [1, 0]

    draft.refresh_from_db()
    assert draft.status == Status.ACTIVE
    assert notified() == [(EventKind.EXPERIMENT_STARTED, {"starts_at": "2025-09-01T12:00:00+00:00"})]


@pytest.mark.parametrize(
    "fields",
    [
        {"starts_at": NOW + HOUR},
        {"starts_at": None},
        {"starts_at": NOW - 2 * HOUR, "ends_at": NOW - HOUR},
        {"starts_at": NOW, "archived_at": NOW},
    ],
)
def test_follow_schedules__draft_that_is_not_due__stays_a_draft(fields: dict[str, Any]) -> None:
    draft = make_experiment(status=Status.DRAFT, **fields)

    assert follow_schedules(now=NOW) == 0

    draft.refresh_from_db()
    assert draft.status == Status.DRAFT


def test_follow_schedules__end_that_pauses__pauses_once_and_lets_a_person_go_on() -> None:
    experiment = make_ending(End.PAUSE)
    split = shares_of(allocate(experiment))

    assert follow_schedules(now=NOW) == 1
    experiment.refresh_from_db()
    assert (experiment.status, experiment.ended_at) == (Status.PAUSED, NOW)
    assert shares_of(Allocation.objects.get()) == split

    change_status(experiment_id=experiment.pk, to=Status.ACTIVE, now=NOW)
    assert follow_schedules(now=NOW + HOUR) == 0

    update_experiment(experiment_id=experiment.pk, now=NOW, ends_at=NOW + 2 * HOUR)
    assert follow_schedules(now=NOW + 3 * HOUR) == 1


def test_follow_schedules__experiment_that_is_paused__is_not_paused_again() -> None:
    experiment = make_ending(End.PAUSE, status=Status.ACTIVE)
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)

    assert follow_schedules(now=NOW) == 0


@pytest.mark.parametrize(
    ("on_end", "winner"), [(End.CONTROL, "control"), (End.LEADER, "variant_b"), (End.VARIANT, "variant_b")]
)
def test_follow_schedules__end_that_hands_over__completes_with_a_fallback(on_end: End, winner: str) -> None:
    experiment = make_ending(on_end)
    if on_end == End.VARIANT:
        experiment.on_end_variant = experiment.variants.get(name="variant_b")
        experiment.save()

    assert follow_schedules(now=NOW) == 1

    experiment.refresh_from_db()
    assert (experiment.status, experiment.decision_reason) == (Status.COMPLETED, "Ended on schedule.")
    assert experiment.winner is not None
    assert experiment.winner.name == winner
    last = Allocation.objects.filter(experiment=experiment).in_force_on(TODAY)[0]
    assert last.kind == Kind.FALLBACK
    assert last.reason == f"The experiment ended on schedule; {winner} gets all traffic."
    assert shares_of(last)[winner] == 1
    [(kind, data)] = notified()
    assert (kind, data["outcome"]) == (EventKind.EXPERIMENT_ENDED, last.reason)
    assert [problem for found in verify_ledger() for problem in found.differences] == []


def test_follow_schedules__ended__computes_nothing_new_afterwards() -> None:
    experiment = make_ending(End.CONTROL)
    follow_schedules(now=NOW)

    assert follow_schedules(now=NOW + DAY) == 0
    assert allocate(experiment).revision == 1


def test_follow_schedules__chosen_variant_is_retired__the_control_gets_all_traffic() -> None:
    experiment = make_ending(End.VARIANT)
    experiment.on_end_variant = experiment.variants.get(name="variant_b")
    experiment.save()
    experiment.variants.filter(name="variant_b").update(is_active=False)

    follow_schedules(now=NOW)

    experiment.refresh_from_db()
    assert experiment.winner is not None
    assert experiment.winner.name == "control"
    assert experiment.decision_reason == INACTIVE_REASON


def test_follow_schedules__a_guard_warns__the_leader_is_not_trusted_with_all_traffic() -> None:
    experiment = make_decided(ends_at=NOW - HOUR, on_end=End.LEADER)
    add_guard(
        experiment_id=experiment.pk,
        metric=Reward.CONVERSION_RATE,
        max_fall=5,
        action=GuardAction.TELL,
        now=NOW,
    )

    follow_schedules(now=NOW)

    experiment.refresh_from_db()
    assert experiment.winner is not None
    assert experiment.winner.name == "control"
    assert experiment.decision_reason == HARM_REASON


def test_follow_schedules__traffic_does_not_match__the_leader_is_not_trusted_with_all_traffic() -> None:
    experiment = make_decided(ends_at=NOW - HOUR, on_end=End.LEADER)
    Alarm.objects.create(experiment=experiment, kind=EventKind.SAMPLE_RATIO_MISMATCH, raised_at=NOW)

    follow_schedules(now=NOW)

    experiment.refresh_from_db()
    assert experiment.winner is not None
    assert experiment.winner.name == "control"
    assert experiment.decision_reason == MISMATCH_REASON


def test_follow_schedules__no_variant__completes_without_a_winner() -> None:
    experiment = make_experiment(ends_at=NOW - HOUR, on_end=End.LEADER)

    assert follow_schedules(now=NOW) == 1

    experiment.refresh_from_db()
    assert (experiment.status, experiment.winner) == (Status.COMPLETED, None)


def test_follow_schedules__completed_by_a_person__is_no_fallback() -> None:
    experiment = make_ending(End.CONTROL)
    change_status(experiment_id=experiment.pk, to=Status.COMPLETED, now=NOW)

    assert follow_schedules(now=NOW) == 0
    assert allocate(experiment).kind == Kind.COMPLETED


def test_scheduler__before_the_daily_time__follows_schedules_already(settings: Any) -> None:
    settings.SCHEDULER_ALLOCATE_AT = dt.time(23, 59)
    experiment = make_ending(End.CONTROL)

    run_due(NOW)

    experiment.refresh_from_db()
    assert experiment.status == Status.COMPLETED


def test_command__follow_schedules__says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    make_ending(End.CONTROL)

    call_command("follow_schedules")

    assert capsys.readouterr().out == "1 started or ended, 0 completed.\n"


def test_sweep__decided_and_to_be_completed__completes_with_the_leader_and_tells() -> None:
    experiment = make_decided(complete_when_decided=True)

    run_daily_sweep(target_date=TODAY, now=NOW)

    experiment.refresh_from_db()
    assert (experiment.status, experiment.decision_reason) == (
        Status.COMPLETED,
        "Completed by itself once decided.",
    )
    assert experiment.winner is not None
    assert experiment.winner.name == "b"
    assert [kind for kind, _data in notified()] == [EventKind.EXPERIMENT_COMPLETED]
    assert complete_decided(target_date=TODAY, now=NOW) == 0


def test_sweep__decided_but_not_asked_to_complete__goes_on() -> None:
    experiment = make_decided()

    run_daily_sweep(target_date=TODAY, now=NOW)

    experiment.refresh_from_db()
    assert experiment.status == Status.ACTIVE
    assert Allocation.objects.get().state == State.DECIDED


def test_sweep__for_tomorrow__completes_nothing_yet() -> None:
    """An end is for now: completed with the split of tomorrow, it would go on with that of today."""
    experiment = make_decided(complete_when_decided=True)

    run_daily_sweep(target_date=TODAY + dt.timedelta(days=1), now=NOW)

    experiment.refresh_from_db()
    assert experiment.status == Status.ACTIVE
    assert experiment.allocations.filter(target_date=TODAY + dt.timedelta(days=1)).count() == 1


def test_complete_decided__alarm_of_a_mismatch__waits_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    experiment = make_decided(complete_when_decided=True)
    allocate(experiment)
    Alarm.objects.create(experiment=experiment, kind=EventKind.SAMPLE_RATIO_MISMATCH, raised_at=NOW)

    with caplog.at_level("INFO"):
        assert complete_decided(target_date=TODAY, now=NOW) == 0
    assert f"experiment {experiment.pk} is decided, but does not end itself" in caplog.text


@pytest.mark.parametrize("rest", ["none", "inactive"])
def test_sweep__one_active_variant__never_ends_itself(rest: str) -> None:
    """The only variant is the best for certain, by no comparison."""
    experiment = make_alone(inactive=rest == "inactive", complete_when_decided=True)

    run_daily_sweep(target_date=TODAY, now=NOW)

    experiment.refresh_from_db()
    assert (experiment.status, experiment.winner, notified()) == (Status.ACTIVE, None, [])
    assert Allocation.objects.get().state == State.DECIDED
    assert [problem for found in verify_ledger() for problem in found.differences] == []


def test_complete_decided__second_variant_since_the_decision__waits_for_the_next_one() -> None:
    experiment = make_alone(inactive=False, complete_when_decided=True)
    allocate(experiment)
    experiment.variants.create(name="b")

    assert complete_decided(target_date=TODAY, now=NOW) == 0


def test_complete_decided__a_guard_warns__waits() -> None:
    experiment = make_decided(complete_when_decided=True)
    add_guard(
        experiment_id=experiment.pk,
        metric=Reward.CONVERSION_RATE,
        max_fall=5,
        action=GuardAction.TELL,
        now=NOW,
    )
    allocate(experiment)

    assert complete_decided(target_date=TODAY, now=NOW) == 0


def test_expires_at__running__is_the_next_midnight_or_its_end() -> None:
    experiment = make_running()
    allocation = allocate(experiment)
    midnight = dt.datetime(2025, 9, 2, tzinfo=dt.UTC)

    assert expires_at(allocation, experiment, TODAY) == midnight
    assert expires_at(allocation, experiment, TODAY + dt.timedelta(days=1)) == midnight + DAY
    experiment.ends_at = NOW + HOUR
    assert expires_at(allocation, experiment, TODAY) == NOW + HOUR
    experiment.ended_at = NOW + HOUR
    assert expires_at(allocation, experiment, TODAY) == midnight
    experiment.status = Status.COMPLETED
    assert expires_at(allocation, experiment, TODAY) is None
