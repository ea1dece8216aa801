"""Notifications of decisions: each event once, and none on thin evidence."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from allocation.models import Allocation, ClosedTraffic
from allocation.services import compute_allocations
from experiments.models import Experiment
from notifications.alarms import ActiveConditions, sync_alarms
from notifications.events import EventKind
from notifications.models import Alarm, Endpoint, Event
from tests.allocation.alerts.experiments import date_of, kinds, leading, swapped
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "endpoint")]


def test_decision__new_split__is_reported_with_both_splits() -> None:
    experiment = make_running()
    allocate(experiment)

    event = Event.objects.get()
    assert event.kind == "allocation.changed"
    assert event.payload["experiment"]["key"] == "button-colour"
    assert event.payload["data"]["shares"] == {"control": 0.3, "variant_b": 0.7}
    assert event.payload["data"]["previous_shares"] is None

    record(experiment, counts("control", 10, 9), counts("variant_b", 100000, 1))
    allocate(experiment)
    assert Event.objects.latest("created_at", "deliveries__pk").payload["data"]["previous_shares"] == {
        "control": 0.3, "variant_b": 0.7,
    }  # fmt: skip


def test_decision__same_split_again__is_not_reported() -> None:
    experiment = make_running()
    allocate(experiment)
    record(experiment, counts("control", 10000, 701), counts("variant_b", 10000, 950))

    assert allocate(experiment).revision == 2

    assert kinds() == ["allocation.changed"]


def test_decision__for_a_past_day__is_no_news() -> None:
    experiment = leading()

    allocate(experiment, date_of(1))

    assert kinds() == []


def test_leader__found__is_reported_once_however_often_it_is_decided() -> None:
    experiment = leading()

    for day in (TODAY, TODAY, TODAY + dt.timedelta(days=1)):
        allocate(experiment, day)

    assert kinds().count("leader.found") == 1
    found = Event.objects.get(kind="leader.found").payload["data"]
    assert found["leader"] == "b"
    assert found["probability_best"] > 0.95
    assert Alarm.objects.get().cleared_at is None


def test_leader__lost_and_found_again__is_reported_again() -> None:
    experiment = leading()
    allocate(experiment)
    record(
        experiment,
        counts("control", 100000, 9000, date=date_of(1)),
        counts("b", 100000, 9000, date=date_of(1)),
    )
    allocate(experiment)
    assert Alarm.objects.get().cleared_at == NOW
    record(experiment, counts("control", 1000, 50, date=date_of(1)), counts("b", 1000, 90, date=date_of(1)))

    allocate(experiment)

    assert kinds().count("leader.found") == 2


def test_decided__one_active_variant__is_no_news() -> None:
    experiment = leading(days=20)
    experiment.variants.filter(name="b").update(is_active=False)

    allocate(experiment)

    assert Allocation.objects.get().state == "decided"
    assert kinds() == ["allocation.changed"]


def test_leader__the_others_set_inactive_since__is_over() -> None:
    experiment = leading(days=20)
    allocate(experiment)
    experiment.variants.filter(name="b").update(is_active=False)

    allocate(experiment, TODAY + dt.timedelta(days=1))

    assert set(Alarm.objects.values_list("kind", "cleared_at")) == {
        ("leader.found", NOW), ("experiment.decided", NOW),
    }  # fmt: skip


@pytest.mark.parametrize(("days", "expected"), [(2, 0), (3, 1)])
def test_leader__within_the_grace_period__is_not_reported(days: int, expected: int) -> None:
    allocate(leading(days))

    assert kinds().count("leader.found") == expected


def test_leader__before_the_minimum_of_data__is_reported_once_it_is_reached(settings: Settings) -> None:
    settings.ALARM_MIN_IMPRESSIONS = 10_001
    experiment = leading()
    allocate(experiment)
    assert kinds().count("leader.found") == 0
    record(experiment, counts("control", 1000, 50), counts("b", 1000, 90))

    allocate(experiment)

    assert kinds().count("leader.found") == 1


def test_decided__enough_days_and_nothing_left__is_reported_once() -> None:
    experiment = leading(days=20)

    allocate(experiment)
    allocate(experiment, TODAY + dt.timedelta(days=1))

    assert kinds().count("experiment.decided") == 1


def test_decisions__first_leaders_of_many__cost_no_query_each() -> None:
    def queries() -> int:
        Allocation.objects.all().delete()
        Alarm.objects.all().delete()
        ClosedTraffic.objects.all().delete()
        ids = list(Experiment.objects.values_list("pk", flat=True))
        with CaptureQueriesContext(connection) as captured:
            compute_allocations(experiment_ids=ids, target_date=TODAY, now=NOW)
        return len(captured)

    leading(name="First")
    one = queries()
    for n in range(4):
        leading(name=f"Further {n}")

    assert queries() == one
    assert Alarm.objects.filter(kind=EventKind.LEADER_FOUND, cleared_at=None).count() == 5


def test_decision__rates_swapped__is_notified_once_with_the_date_and_the_rates() -> None:
    experiment = swapped()
    allocate(experiment)
    record(experiment, counts("control", 4000, 200), counts("b", 4000, 100))
    allocate(experiment)

    (event,) = Event.objects.filter(kind="rates.changed")
    data = event.payload["data"]
    assert abs((dt.date.fromisoformat(data["since"]) - date_of(20)).days) <= 1
    assert data["rates_before"] == pytest.approx({"control": 0.025, "b": 0.05}, rel=0.1)
    assert data["rates_since"] == pytest.approx({"control": 0.05, "b": 0.025}, rel=0.1)


@pytest.mark.parametrize("is_cleared", [False, True])
def test_alarm__change_lost_and_found_again__is_raised_once(is_cleared: bool) -> None:
    experiment = make_experiment()
    place = experiment.pk, EventKind.RATES_CHANGED

    def raised(since: str | None) -> int:
        holding: ActiveConditions = {} if since is None else {place: {"since": since}}
        return len(sync_alarms({experiment.pk: experiment}, [EventKind.RATES_CHANGED], holding, NOW))

    assert [raised("2025-08-01"), raised(None), raised("2025-08-03"), raised(None)] == [1, 0, 0, 0]
    assert Alarm.objects.get().cleared_at is None
    if is_cleared:
        Alarm.objects.update(cleared_at=NOW)
    assert [raised("2025-07-28"), raised("2025-08-20"), raised("2025-08-01")] == [0, 1, 0]
    assert Alarm.objects.get(cleared_at=None).facts == {"since": "2025-08-20"}


def test_decision__leader_in_traffic_no_sweep_has_looked_at__is_no_news() -> None:
    experiment = make_experiment()
    for age in range(5, 0, -1):
        record(
            experiment,
            counts("control", 2000, 100, date=date_of(age)),
            counts("b", 1000, 95, date=date_of(age)),
        )
        compute_allocations(experiment_ids=[experiment.pk], target_date=date_of(age), now=NOW, announce=False)

    assert allocate(experiment).state == "leader"

    assert "leader.found" not in kinds()


def test_decision__change_beside_a_mismatch__waits() -> None:
    experiment = swapped()
    Alarm.objects.create(experiment=experiment, kind=EventKind.SAMPLE_RATIO_MISMATCH, raised_at=NOW)

    assert allocate(experiment).rates_changed_on is not None

    assert "rates.changed" not in kinds()


def test_decision__change__is_reported_with_rates_of_mature_days() -> None:
    experiment = swapped()
    Experiment.objects.filter(pk=experiment.pk).update(maturity_days=1)
    record(experiment, counts("control", 10**6, 0), counts("b", 10**6, 0))

    allocate(experiment)

    data = Event.objects.get(kind="rates.changed").payload["data"]
    assert data["rates_since"] == pytest.approx({"control": 0.05, "b": 0.025}, rel=0.1)


def test_decision__leader_beside_a_mismatch__is_no_news() -> None:
    experiment = leading()
    Alarm.objects.create(experiment=experiment, kind=EventKind.SAMPLE_RATIO_MISMATCH, raised_at=NOW)

    allocate(experiment)

    assert "leader.found" not in kinds()


def test_decisions__nobody_wants_to_know__cost_two_queries_more(django_assert_max_num_queries: Any) -> None:
    Endpoint.objects.all().delete()
    experiment = make_running()

    with django_assert_max_num_queries(12):
        allocate(experiment)

    assert not Event.objects.exists()
