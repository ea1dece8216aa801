"""The scheduler: once a day, catching up, one at a time, ending cleanly; and pruning."""

import datetime as dt
import os
import re
import signal
import threading
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import OperationalError, connection, connections
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from allocation.models import Allocation
from allocation.sweep import run_daily_sweep
from bandit_project.models import ApiKey, Heartbeat, JobRun
from bandit_project.ops.pruning import prune
from bandit_project.ops.scheduler import run_due
from experiments.database.locks import only_one
from notifications.models import Alarm, Delivery, Endpoint, Event
from notifications.outbox import queue_test
from tests.bandit_project.ops.database import database_url
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record
from tests.processes.forks import Process

pytestmark = pytest.mark.django_db


def _at(hour: int, minute: int = 0, day: int = 1) -> dt.datetime:
    return dt.datetime(2025, 9, day, hour, minute, tzinfo=dt.UTC)


def _decided_dates() -> list[str]:
    dates = Allocation.objects.order_by("target_date").values_list("target_date", flat=True)
    return [date.isoformat() for date in dates]


def test_scheduler__before_and_after_the_time__decides_once_a_day() -> None:
    make_running()

    for minute in (14, 15, 16):
        run_due(_at(0, minute))
        assert len(_decided_dates()) == (minute >= 15)
    run_due(_at(23, 59))
    run_due(_at(0, 20, day=2))

    assert _decided_dates() == ["2025-09-01", "2025-09-02"]


def test_scheduler__down_at_the_time__catches_up_later_the_same_day() -> None:
    make_running()

    run_due(_at(17))

    assert _decided_dates() == ["2025-09-01"]


def test_scheduler__clock_was_a_day_ahead_for_a_while__decides_again_when_that_day_comes() -> None:
    experiment = make_running()
    run_due(_at(2, day=2))
    run_due(_at(1, day=1))  # set back
    record(experiment, counts("control", 5_000, 100, date=_at(0).date()))
    early = Allocation.objects.count()

    run_due(_at(1, day=2))

    assert Allocation.objects.count() == early + 1
    assert JobRun.objects.get(name="allocate", date=_at(0, day=2).date()).finished_at == _at(1, day=2)


def test_scheduler__time_zone__decides_for_the_day_there(settings: Settings) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    make_running()

    with timezone.override(ZoneInfo("Pacific/Auckland")):
        run_due(_at(13))  # past midnight over there

    assert _decided_dates() == ["2025-09-02"]


def test_scheduler__stopped_half_way__is_not_done_and_starts_again() -> None:
    make_running()

    run_due(_at(1), stopped=lambda: True)
    assert not JobRun.objects.filter(name="allocate").exists()
    run_due(_at(1, 1))

    assert JobRun.objects.filter(name="allocate").count() == 1
    assert Allocation.objects.count() == 1


def test_scheduler__database_away_half_way__is_not_done_and_starts_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_running()

    def away(**kwargs: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr("allocation.sweep.chunk.compute_allocations", away)
        patch.setattr(connections["default"], "is_usable", lambda: False)
        run_due(_at(1))
        with pytest.raises(OperationalError):  # so that cron's command fails too, and may be run again
            run_daily_sweep(target_date=TODAY, now=NOW)
    assert not JobRun.objects.filter(name="allocate").exists()

    run_due(_at(1, 1))

    assert _decided_dates() == ["2025-09-01"]


def test_scheduler__one_part_fails__the_others_go_on_and_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    endpoint = Endpoint.objects.create(name="x", address="http://127.0.0.1:1/")
    queue_test(endpoint, NOW)
    make_running()

    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("allocation.traffic.alarms.alert_on_traffic", broken)
        run_due(_at(1))
    assert not JobRun.objects.filter(name="allocate").exists()
    assert endpoint.deliveries.order_by("pk")[0].attempts_made == 1

    run_due(_at(1, 1))

    assert JobRun.objects.filter(name="allocate").exists()


def test_scheduler__sweep__looks_for_alarms() -> None:
    experiment = make_experiment()
    type(experiment).objects.filter(pk=experiment.pk).update(created_at=_at(0) - dt.timedelta(days=30))
    record(experiment, counts("control", 5, 1, date=TODAY - dt.timedelta(days=20)))

    run_due(_at(1))

    assert Alarm.objects.get().kind == "data.missing"


@pytest.mark.django_db(transaction=True)
def test_scheduler__another_one_at_work__does_nothing() -> None:
    make_running()
    held, done = threading.Event(), threading.Event()

    def other() -> None:
        with only_one("scheduler"):
            held.set()
            done.wait(60)
        connection.close()

    thread = threading.Thread(target=other)
    thread.start()
    held.wait(60)
    try:
        run_due(_at(1))
        assert _decided_dates() == []
    finally:
        done.set()
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_scheduler__terminated__ends_cleanly_and_has_left_its_heartbeat(tmp_path: Path) -> None:
    beat, log = tmp_path / "beat", tmp_path / "log"
    environment = {
        **os.environ, "DATABASE_URL": database_url(), "DEBUG": "true", "SCHEDULER_HEARTBEAT": str(beat)
    }  # fmt: skip
    with (
        log.open("w") as errors,
        Process(["manage.py", "scheduler"], env=environment, stderr=errors) as running,
    ):
        while "\n" not in (begun := log.read_text()) and running.poll() is None:
            time.sleep(0.02)
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=60) == 0

    assert "scheduler.started" in begun.splitlines()[0]
    assert "scheduler.stopped" in log.read_text().splitlines()[-1]
    assert beat.exists()


def test_heartbeat__each_round__is_the_time_of_the_last() -> None:
    for minute in (1, 2):
        run_due(_at(1, minute))

    assert Heartbeat.objects.get().at == _at(1, 2)


def test_gauges__scheduler_and_backup__are_seconds_since_and_missing_where_there_never_was_one(
    client: Client, settings: Settings
) -> None:
    settings.DEBUG = True
    assert not re.search(rb"^bandit_(scheduler|backup)_age_seconds ", client.get("/metrics").content, re.M)

    run_due(timezone.now())
    call_command("record_backup")

    for name in (b"scheduler", b"backup"):
        found = re.search(rb"^bandit_" + name + rb"_age_seconds (\S+)$", client.get("/metrics").content, re.M)
        assert found is not None
        assert 0 <= float(found[1]) < 60


def test_scheduler__database_away__says_so_in_a_line_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(name: str) -> None:
        raise OperationalError("connection failed:\nno route to host")

    monkeypatch.setattr("bandit_project.ops.scheduler.only_one", away)

    run_due(_at(1))

    (record,) = caplog.records
    assert record.getMessage() == "scheduler: scheduler failed: connection failed: no route to host"
    assert record.exc_info is None


def _revisions(*created: dt.datetime) -> None:
    """One experiment decided again and again for the same day."""
    experiment = make_running()
    for n, moment in enumerate(created):
        record(experiment, counts("control", 10000, 600 + n))
        allocation = allocate(experiment)
        Allocation.objects.filter(pk=allocation.pk).update(created_at=moment)


def test_prune__ledger__keeps_everything_unless_set_otherwise() -> None:
    _revisions(*[NOW - dt.timedelta(days=1000)] * 3)

    call_command("prune")

    assert Allocation.objects.count() == 3


@pytest.mark.usefixtures("today")
def test_prune__superseded_and_old__goes_and_the_last_revision_never(settings: Settings) -> None:
    settings.LEDGER_RETENTION_DAYS = 30
    old = NOW - dt.timedelta(days=31)
    _revisions(old, NOW - dt.timedelta(days=29), old, old)

    call_command("prune")

    assert sorted(Allocation.objects.values_list("revision", flat=True)) == [2, 4]
    assert Allocation.objects.get(revision=4).shares.count() == 2


@pytest.mark.usefixtures("today")
def test_prune__told_to_end_between_two_batches__leaves_the_rest_for_the_next_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LEDGER_RETENTION_DAYS = 30
    monkeypatch.setattr("allocation.ledger.entries._PRUNE_BATCH", 1)
    _revisions(*[NOW - dt.timedelta(days=31)] * 4)
    asked: list[int] = []

    def stopped() -> bool:
        """Asked before each kind and each batch; says so once the first decision is gone."""
        asked.append(Allocation.objects.count())
        return asked[-1] < 4

    first, second = prune(now=NOW, stopped=stopped), prune(now=NOW)

    assert asked[-2:] == [3, 3]
    assert first["superseded decisions"] == 1
    assert "notifications" not in first
    assert second["superseded decisions"] == 2


def test_prune__interrupted__runs_again_the_same_day() -> None:
    run_due(_at(0, 5), lambda: True)
    assert not JobRun.objects.filter(name="prune").exists()

    run_due(_at(0, 6))
    assert JobRun.objects.filter(name="prune").exists()


@pytest.mark.usefixtures("today")
def test_prune__what_is_over__goes_and_what_is_needed_stays(capsys: pytest.CaptureFixture[str]) -> None:
    long_ago = NOW - dt.timedelta(days=91)
    ApiKey.objects.create_key(name="expired", expiry_date=NOW - dt.timedelta(seconds=1))
    ApiKey.objects.create_key(name="valid", expiry_date=NOW + dt.timedelta(days=1))
    ApiKey.objects.create_key(name="without end")
    endpoint = Endpoint.objects.create(name="x", address="https://example.com")
    for _ in range(2):
        queue_test(endpoint, long_ago)
    delivered = Delivery.objects.order_by("pk")[0]
    Delivery.objects.filter(pk=delivered.pk).update(state=Delivery.State.DELIVERED)
    Session.objects.create(session_key="old", session_data="", expire_date=long_ago)

    call_command("prune")

    assert set(ApiKey.objects.values_list("name", flat=True)) == {"valid", "without end"}
    assert Event.objects.count() == 1  # the other one still waits
    assert not Session.objects.exists()
    assert "Deleted 1 expired API keys." in capsys.readouterr().out
