"""Notifications: each event once, and none on thin evidence."""

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
from allocation.sweep import begin_sweep, run_daily_sweep
from allocation.sweep.traffic import alert_on_traffic
from experiments.models import Experiment, Status
from experiments.services import change_status
from notifications.alarms import ActiveConditions, sync_alarms
from notifications.events import EventKind
from notifications.models import Alarm, Endpoint, Event
from notifications.selectors import active_experiments
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "endpoint")]


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint.objects.create(name="ops", address="https://hooks.example.com/")


def _day(age: int) -> dt.date:
    return TODAY - dt.timedelta(days=age)


def _kinds() -> list[str]:
    return list(Event.objects.order_by("created_at", "deliveries__pk").values_list("kind", flat=True))


def _look_at_traffic(date: dt.date = TODAY) -> None:
    """As the sweep does before it decides."""
    begin_sweep(target_date=date, now=NOW)
    alert_on_traffic(list(active_experiments().values_list("pk", flat=True)), date, NOW)


def _leading(days: int = 5, name: str = "Button colour") -> Experiment:
    experiment = make_experiment(name, min_impressions=100)
    for age in range(days, 0, -1):
        day = _day(age)
        record(experiment, counts("control", 1000, 50, date=day), counts("b", 1000, 90, date=day))
    return experiment


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

    assert _kinds() == ["allocation.changed"]


def test_decision__for_a_past_day__is_no_news() -> None:
    experiment = _leading()

    allocate(experiment, _day(1))

    assert _kinds() == []


def test_leader__found__is_reported_once_however_often_it_is_decided() -> None:
    experiment = _leading()

    for day in (TODAY, TODAY, TODAY + dt.timedelta(days=1)):
        allocate(experiment, day)

    assert _kinds().count("leader.found") == 1
    found = Event.objects.get(kind="leader.found").payload["data"]
    assert found["leader"] == "b"
    assert found["probability_best"] > 0.95
    assert Alarm.objects.get().cleared_at is None


def test_leader__lost_and_found_again__is_reported_again() -> None:
    experiment = _leading()
    allocate(experiment)
    record(experiment, counts("control", 100000, 9000, date=_day(1)), counts("b", 100000, 9000, date=_day(1)))
    allocate(experiment)
    assert Alarm.objects.get().cleared_at == NOW
    record(experiment, counts("control", 1000, 50, date=_day(1)), counts("b", 1000, 90, date=_day(1)))

    allocate(experiment)

    assert _kinds().count("leader.found") == 2


@pytest.mark.parametrize(("days", "expected"), [(2, 0), (3, 1)])
def test_leader__within_the_grace_period__is_not_reported(days: int, expected: int) -> None:
    allocate(_leading(days))

    assert _kinds().count("leader.found") == expected


def test_leader__before_the_minimum_of_data__is_reported_once_it_is_reached(settings: Settings) -> None:
    settings.ALARM_MIN_IMPRESSIONS = 10_001
    experiment = _leading()
    allocate(experiment)
    assert _kinds().count("leader.found") == 0
    record(experiment, counts("control", 1000, 50), counts("b", 1000, 90))

    allocate(experiment)

    assert _kinds().count("leader.found") == 1


def test_decided__enough_days_and_nothing_left__is_reported_once() -> None:
    experiment = _leading(days=20)

    allocate(experiment)
    allocate(experiment, TODAY + dt.timedelta(days=1))

    assert _kinds().count("experiment.decided") == 1


def test_completed__alarms__are_over() -> None:
    experiment = _leading()
    allocate(experiment)

    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)

    assert not Alarm.objects.filter(cleared_at=None).exists()


def _mismatched(name: str = "Button colour") -> Experiment:
    """Split evenly, but a tenth of b's traffic never arrives."""
    experiment = make_experiment(name, min_impressions=10**6)
    for age in range(5, 0, -1):
        day = _day(age)
        record(experiment, counts("control", 1000, 50, date=day), counts("b", 700, 35, date=day))
        allocate(experiment, day)
    return experiment


def test_sweep__traffic_not_as_split__is_reported_once_with_what_arrived() -> None:
    _mismatched()

    _look_at_traffic()
    _look_at_traffic()

    (event,) = Event.objects.filter(kind="sample_ratio.mismatch")
    assert event.payload["data"]["observed"]["b"] < event.payload["data"]["expected"]["b"]
    assert event.payload["data"]["p_value"] < 0.001


def test_sweep__mismatch_on_too_little__is_not_reported(settings: Settings) -> None:
    settings.ALARM_GRACE_DAYS = 6
    _mismatched()

    _look_at_traffic()

    assert not Alarm.objects.filter(kind="sample_ratio.mismatch").exists()


def _quiet_since(age: int, name: str = "Button colour") -> Experiment:
    experiment = make_experiment(name)
    Experiment.objects.filter(pk=experiment.pk).update(created_at=NOW - dt.timedelta(days=30))
    record(experiment, counts("control", 10, 1, date=_day(age)), counts("b", 10, 1, date=_day(age)))
    return experiment


@pytest.mark.parametrize(("age", "expected"), [(3, 0), (4, 1), (20, 1)])
def test_sweep__no_data_for_days__is_reported_once(age: int, expected: int) -> None:
    _quiet_since(age)

    _look_at_traffic()
    _look_at_traffic()

    assert _kinds().count("data.missing") == expected


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

    _look_at_traffic()

    assert _kinds().count("data.missing") == expected


def test_sweep__data_come_back_and_stay_away_again__is_reported_again() -> None:
    experiment = _quiet_since(10)
    _look_at_traffic()
    record(experiment, counts("control", 10, 1))
    _look_at_traffic()
    assert Alarm.objects.get().cleared_at == NOW

    _look_at_traffic(TODAY + dt.timedelta(days=9))

    assert _kinds().count("data.missing") == 2


def test_sweep__young_paused_or_draft_experiments__are_left_alone() -> None:
    make_experiment("Young")
    paused = _quiet_since(10, "Paused")
    change_status(experiment_id=paused.pk, to=Status.PAUSED, now=NOW)
    make_experiment("Draft", status=Status.DRAFT)

    _look_at_traffic()

    assert not Alarm.objects.exists()


def test_sweep__paused_meanwhile__its_alarm_is_over() -> None:
    experiment = _quiet_since(10)
    _look_at_traffic()
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)

    _look_at_traffic()

    assert Alarm.objects.get().cleared_at == NOW


def test_sweep__comparison_that_fails__leaves_the_alarm_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = _mismatched()
    _look_at_traffic()

    def fails(experiments: Any, date: dt.date) -> Any:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("allocation.sweep.traffic.compared_traffic", fails)
    _look_at_traffic()

    assert Alarm.objects.get(experiment=experiment).cleared_at is None


def test_sweep__alarms_that_stay_open__cost_no_query_each() -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            _look_at_traffic()
        return len(captured)

    _mismatched("First")
    _look_at_traffic()
    one = queries()
    for n in range(4):
        _mismatched(f"Further {n}")
    _look_at_traffic()

    assert Alarm.objects.filter(cleared_at=None).count() == 5
    assert queries() == one


def test_sweep__new_alarms_of_many__are_settled_at_once() -> None:
    def queries() -> int:
        Alarm.objects.all().delete()
        with CaptureQueriesContext(connection) as captured:
            _look_at_traffic()
        return len(captured)

    _mismatched("First")
    _look_at_traffic()
    one = queries()
    for n in range(4):
        _mismatched(f"Further {n}")
    _look_at_traffic()

    assert queries() == one
    assert Alarm.objects.filter(cleared_at=None).count() == 5


def test_sweep__one_that_cannot_be_settled__stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    broken, other = _mismatched("Broken"), _mismatched("Other")

    def settle(experiments: Any, *arguments: Any) -> Any:
        if broken.pk in experiments:
            raise ZeroDivisionError("a fault")
        return sync_alarms(experiments, *arguments)

    monkeypatch.setattr("allocation.sweep.traffic.sync_alarms", settle)
    _look_at_traffic()

    assert Alarm.objects.get().experiment == other


def test_decisions__first_leaders_of_many__cost_no_query_each() -> None:
    def queries() -> int:
        Allocation.objects.all().delete()
        Alarm.objects.all().delete()
        ids = list(Experiment.objects.values_list("pk", flat=True))
        with CaptureQueriesContext(connection) as captured:
            compute_allocations(experiment_ids=ids, target_date=TODAY, now=NOW)
        return len(captured)

    _leading(name="First")
    one = queries()
    for n in range(4):
        _leading(name=f"Further {n}")

    assert queries() == one
    assert Alarm.objects.filter(kind=EventKind.LEADER_FOUND, cleared_at=None).count() == 5


def test_sweep__for_a_past_day__is_no_news(today: dt.date) -> None:
    _mismatched()

    run_daily_sweep(target_date=TODAY - dt.timedelta(days=1), now=NOW)
    assert not Alarm.objects.exists()

    run_daily_sweep(target_date=TODAY, now=NOW)
    assert Alarm.objects.exists()


def test_decision__rates_swapped__is_notified_once_with_the_date_and_the_rates() -> None:
    experiment = _swapped()
    allocate(experiment)
    record(experiment, counts("control", 4000, 200), counts("b", 4000, 100))
    allocate(experiment)

    (event,) = Event.objects.filter(kind="rates.changed")
    data = event.payload["data"]
    assert abs((dt.date.fromisoformat(data["since"]) - _day(20)).days) <= 1
    assert data["rates_before"] == pytest.approx({"control": 0.025, "b": 0.05}, rel=0.1)
    assert data["rates_since"] == pytest.approx({"control": 0.05, "b": 0.025}, rel=0.1)


def _swapped() -> Experiment:
    experiment = make_experiment(min_impressions=0)
    for age in range(60, 0, -1):
        rates = (100, 200) if age > 20 else (200, 100)
        rows = [
            counts(name, 4000, rate, date=_day(age))
            for name, rate in zip(("control", "b"), rates, strict=True)
        ]
        record(experiment, *rows)
    return experiment


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


def test_sweep__first_one_with_a_leader_and_a_mismatch__tells_of_the_mismatch_alone() -> None:
    experiment = make_experiment()
    for age in range(20, 0, -1):
        record(
            experiment, counts("control", 2000, 100, date=_day(age)), counts("b", 1000, 95, date=_day(age))
        )
    for age in range(18, 0, -1):
        compute_allocations(experiment_ids=[experiment.pk], target_date=_day(age), now=NOW, announce=False)

    run_daily_sweep(target_date=TODAY, now=NOW)

    assert "sample_ratio.mismatch" in _kinds()
    assert not {"leader.found", "experiment.decided"} & set(_kinds())
    decided = Allocation.objects.get(target_date=TODAY)
    assert decided.state == experiment_statistics(experiment.pk, TODAY).state == "leader"


def test_decision__leader_in_traffic_no_sweep_has_looked_at__is_no_news() -> None:
    experiment = make_experiment()
    for age in range(5, 0, -1):
        record(
            experiment, counts("control", 2000, 100, date=_day(age)), counts("b", 1000, 95, date=_day(age))
        )
        compute_allocations(experiment_ids=[experiment.pk], target_date=_day(age), now=NOW, announce=False)

    assert allocate(experiment).state == "leader"

    assert "leader.found" not in _kinds()


def test_decision__change_beside_a_mismatch__waits() -> None:
    experiment = _swapped()
    Alarm.objects.create(experiment=experiment, kind=EventKind.SAMPLE_RATIO_MISMATCH, raised_at=NOW)

    assert allocate(experiment).rates_changed_on is not None

    assert "rates.changed" not in _kinds()


def test_decision__change__is_reported_with_rates_of_mature_days() -> None:
    experiment = _swapped()
    Experiment.objects.filter(pk=experiment.pk).update(maturity_days=1)
    record(experiment, counts("control", 10**6, 0), counts("b", 10**6, 0))

    allocate(experiment)

    data = Event.objects.get(kind="rates.changed").payload["data"]
    assert data["rates_since"] == pytest.approx({"control": 0.05, "b": 0.025}, rel=0.1)


def test_decision__leader_beside_a_mismatch__is_no_news() -> None:
    experiment = _leading()
    Alarm.objects.create(experiment=experiment, kind=EventKind.SAMPLE_RATIO_MISMATCH, raised_at=NOW)

    allocate(experiment)

    assert "leader.found" not in _kinds()


def test_allocate_command__all__looks_for_alarms_too(capsys: pytest.CaptureFixture[str]) -> None:
    _quiet_since(10)

    call_command("allocate", "--all")

    assert "data.missing" in _kinds()
    assert "1 computed" in capsys.readouterr().out


def test_decisions__nobody_wants_to_know__cost_two_queries_more(django_assert_max_num_queries: Any) -> None:
    Endpoint.objects.all().delete()
    experiment = make_running()

    with django_assert_max_num_queries(12):
        allocate(experiment)

    assert not Event.objects.exists()
