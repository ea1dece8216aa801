"""Notifications of the sweep: each alarm once, and none on thin evidence."""

import datetime as dt
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from allocation.models import Allocation
from allocation.services import complete_experiment, compute_allocations
from allocation.statistics.experiment import experiment_statistics
from allocation.sweep import run_daily_sweep
from experiments.models import Experiment, Status
from experiments.services import change_status
from notifications.alarms import sync_alarms
from notifications.models import Alarm, Event
from tests.allocation.alerts.experiments import date_of, kinds, leading, look_at_traffic, mismatched
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "endpoint")]


def test_completed__alarms__are_over() -> None:
    experiment = leading()
    allocate(experiment)

    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)

    assert not Alarm.objects.filter(cleared_at=None).exists()


def test_sweep__traffic_not_as_split__is_reported_once_with_what_arrived() -> None:
    mismatched()

    look_at_traffic()
    look_at_traffic()

    (event,) = Event.objects.filter(kind="sample_ratio.mismatch")
    assert event.payload["data"]["observed"]["b"] < event.payload["data"]["expected"]["b"]
    assert event.payload["data"]["p_value"] < 0.001


def test_sweep__mismatch_on_too_little__is_not_reported(settings: Settings) -> None:
    settings.ALARM_GRACE_DAYS = 6
    mismatched()

    look_at_traffic()

    assert not Alarm.objects.filter(kind="sample_ratio.mismatch").exists()


def _quiet_since(age: int, name: str = "Button colour") -> Experiment:
    experiment = make_experiment(name)
    Experiment.objects.filter(pk=experiment.pk).update(created_at=NOW - dt.timedelta(days=30))
    record(experiment, counts("control", 10, 1, date=date_of(age)), counts("b", 10, 1, date=date_of(age)))
    return experiment


@pytest.mark.parametrize(("age", "expected"), [(3, 0), (4, 1), (20, 1)])
def test_sweep__no_data_for_days__is_reported_once(age: int, expected: int) -> None:
    _quiet_since(age)

    look_at_traffic()
    look_at_traffic()

    assert kinds().count("data.missing") == expected


@pytest.mark.parametrize(("age", "expected"), [(0, 0), (3, 0), (4, 1)])
def test_sweep__started_long_after_it_was_made__has_its_grace_period_from_then(
    age: int, expected: int
) -> None:
    experiment = make_experiment(status=Status.DRAFT)
    Experiment.objects.filter(pk=experiment.pk).update(created_at=NOW - dt.timedelta(days=30))
    change_status(experiment_id=experiment.pk, to=Status.ACTIVE, now=NOW)
    for record_of, days in zip(experiment.history.order_by("history_id"), (30, age), strict=True):
        record_of.history_date = NOW - dt.timedelta(days=days)
        record_of.save()

    look_at_traffic()

    assert kinds().count("data.missing") == expected


def test_sweep__data_come_back_and_stay_away_again__is_reported_again() -> None:
    experiment = _quiet_since(10)
    look_at_traffic()
    record(experiment, counts("control", 10, 1))
    look_at_traffic()
    assert Alarm.objects.get().cleared_at == NOW

    look_at_traffic(TODAY + dt.timedelta(days=9))

    assert kinds().count("data.missing") == 2


def test_sweep__young_paused_or_draft_experiments__are_left_alone() -> None:
    make_experiment("Young")
    paused = _quiet_since(10, "Paused")
    change_status(experiment_id=paused.pk, to=Status.PAUSED, now=NOW)
    make_experiment("Draft", status=Status.DRAFT)

    look_at_traffic()

    assert not Alarm.objects.exists()


def test_sweep__paused_meanwhile__its_alarm_is_over() -> None:
    experiment = _quiet_since(10)
    look_at_traffic()
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)

    look_at_traffic()

    assert Alarm.objects.get().cleared_at == NOW


def test_sweep__comparison_that_fails__leaves_the_alarm_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = mismatched()
    look_at_traffic()

    def fails(experiments: Any, date: dt.date) -> Any:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("allocation.traffic.alarms.compared_traffic", fails)
    look_at_traffic()

    assert Alarm.objects.get(experiment=experiment).cleared_at is None


def _queries_of_a_look() -> int:
    with CaptureQueriesContext(connection) as captured:
        look_at_traffic()
    return len(captured)


def test_sweep__alarms_that_stay_open__cost_no_query_each() -> None:
    mismatched("First")
    look_at_traffic()
    one = _queries_of_a_look()
    for n in range(4):
        mismatched(f"Further {n}")
    look_at_traffic()

    assert Alarm.objects.filter(cleared_at=None).count() == 5
    assert _queries_of_a_look() == one


def test_sweep__new_alarms_of_many__are_settled_at_once() -> None:
    mismatched("First")
    look_at_traffic()
    Alarm.objects.all().delete()
    one = _queries_of_a_look()
    for n in range(4):
        mismatched(f"Further {n}")
    look_at_traffic()
    Alarm.objects.all().delete()

    assert _queries_of_a_look() == one
    assert Alarm.objects.filter(cleared_at=None).count() == 5


def test_sweep__one_that_cannot_be_settled__stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    broken, other = mismatched("Broken"), mismatched("Other")

    def settle(experiments: Any, *arguments: Any) -> Any:
        if broken.pk in experiments:
            raise ZeroDivisionError("a fault")
        return sync_alarms(experiments, *arguments)

    monkeypatch.setattr("allocation.traffic.alarms.sync_alarms", settle)
    look_at_traffic()

    assert Alarm.objects.get().experiment == other


def test_sweep__for_a_past_day__is_no_news(today: dt.date) -> None:
    mismatched()

    run_daily_sweep(target_date=TODAY - dt.timedelta(days=1), now=NOW)
    assert not Alarm.objects.exists()

    run_daily_sweep(target_date=TODAY, now=NOW)
    assert Alarm.objects.exists()


def test_sweep__first_one_with_a_leader_and_a_mismatch__tells_of_the_mismatch_alone() -> None:
    experiment = make_experiment()
    for age in range(20, 0, -1):
        record(
            experiment,
            counts("control", 2000, 100, date=date_of(age)),
            counts("b", 1000, 95, date=date_of(age)),
        )
    for age in range(18, 0, -1):
        compute_allocations(experiment_ids=[experiment.pk], target_date=date_of(age), now=NOW, announce=False)

    run_daily_sweep(target_date=TODAY, now=NOW)

    assert "sample_ratio.mismatch" in kinds()
    assert not {"leader.found", "experiment.decided"} & set(kinds())
    decided = Allocation.objects.get(target_date=TODAY)
    assert decided.state == experiment_statistics(experiment.pk, TODAY).state == "leader"


def test_allocate_command__all__looks_for_alarms_too(capsys: pytest.CaptureFixture[str]) -> None:
    _quiet_since(10)

    call_command("allocate", "--all")

    assert "data.missing" in kinds()
    assert "1 computed" in capsys.readouterr().out
