"""A day's data stay its own in any time zone, when midnight passes during a request, and when clocks are set back."""

import datetime as dt
import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from allocation.models import Allocation
from experiments.models import DailyMetric
from tests.factory import counts, make_running, record
from tests.processes.files import sqlite_in
from tests.resilience.service import Service, served

Report = Callable[[str], None]
Clock = Callable[[Callable[[], dt.datetime]], None]

EVENING = dt.datetime(2025, 9, 1, 23, 59, 59, 900_000, tzinfo=dt.UTC)
LAST_DAY, NEXT_DAY, DAY_AFTER = (EVENING.date() + dt.timedelta(days=days) for days in (0, 1, 2))
SECOND = dt.timedelta(seconds=1)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A function that replaces the clock."""
    return lambda look: monkeypatch.setattr("django.utils.timezone.now", look)


def _midnight_after(looks: int) -> Callable[[], dt.datetime]:
    """A clock on which midnight passes after so many looks; from then on a second passes with each look."""
    looked = itertools.count()
    return lambda: EVENING + SECOND * max(0, next(looked) - looks + 1)


def _row(name: str, date: dt.date, key: str = "button-colour") -> dict[str, object]:
    return {
        "experiment_id": key,
        "date": date.isoformat(),
        "variant_name": name,
        "impressions": 50,
        "clicks": 5,
    }


def _stored() -> list[tuple[str, dt.date]]:
    rows = DailyMetric.objects.filter(impressions=50).order_by("variant__name", "date")
    return list(rows.values_list("variant__name", "date"))


def _post_to(api: APIClient, path: str, rows: list[dict[str, object]]) -> Any:
    if path.endswith("/csv/"):
        return api.post(path, {"file": _file(*rows)}, format="multipart")
    return api.post(path, {"rows": rows}, format="json")


def _file(*rows: dict[str, object]) -> io.BytesIO:
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    file = io.BytesIO("\n".join(lines).encode())
    file.name = "days.csv"
    return file


@pytest.mark.django_db
@pytest.mark.parametrize("looks", range(6))
@pytest.mark.parametrize("path", ["/api/v1/events/", "/api/v1/events/csv/"])
def test_day__ends_during_a_batch__rows_keep_the_day_they_name(
    api: APIClient, clock: Clock, path: str, looks: int
) -> None:
    make_running()
    rows = [_row("control", LAST_DAY), _row("variant_b", LAST_DAY)]
    clock(_midnight_after(looks))

    answer = _post_to(api, path, rows)

    assert answer.status_code == 200, answer.content
    assert _stored() == [("control", LAST_DAY), ("variant_b", LAST_DAY)]


@pytest.mark.django_db
@pytest.mark.parametrize("looks", range(6))
@pytest.mark.parametrize("path", ["/api/v1/events/", "/api/v1/events/csv/"])
def test_day__ends_during_a_batch__rows_two_days_ahead_are_all_taken_or_none(
    api: APIClient, clock: Clock, path: str, looks: int
) -> None:
    """A row may be one day ahead, as that day has begun somewhere. The service looks at the date once for all rows."""
    make_running()
    rows = [_row("control", DAY_AFTER), _row("variant_b", LAST_DAY), _row("variant_b", DAY_AFTER)]
    clock(_midnight_after(looks))

    answer = _post_to(api, path, rows)

    assert answer.status_code in {200, 422}
    assert len(_stored()) == (3 if answer.status_code == 200 else 0)
    if answer.status_code == 422:
        assert {issue["message"].partition("; ")[0] for issue in answer.json()["errors"]} == {
            f"{DAY_AFTER} lies in the future"
        }


@pytest.mark.django_db
@pytest.mark.parametrize("looks", range(8))
def test_day__ends_during_a_sweep__every_experiment_is_decided_for_the_same_day(
    clock: Clock, looks: int
) -> None:
    for name in ("One", "Two", "Three"):
        make_running(name)
    clock(_midnight_after(looks))

    call_command("allocate", "--all", stdout=io.StringIO())

    dates = Allocation.objects.values_list("target_date", flat=True)
    assert len(dates) == 3
    assert len(set(dates)) == 1
    assert set(dates) <= {LAST_DAY, NEXT_DAY}


@pytest.mark.django_db
@pytest.mark.parametrize("looks", range(6))
def test_day__ends_during_an_allocation__is_decided_for_one_of_the_two(
    api: APIClient, clock: Clock, looks: int
) -> None:
    experiment = make_running()
    clock(_midnight_after(looks))

    answer = api.post(f"/api/v1/experiments/{experiment.key}/allocation/")

    made = Allocation.objects.get()
    assert answer.status_code == 201
    assert answer.json()["target_date"] == made.target_date.isoformat()
    assert made.target_date in {LAST_DAY, NEXT_DAY}
    assert made.created_at.date() >= made.target_date


@pytest.mark.django_db
def test_clock__set_back_an_hour__later_revisions_count_and_stand_later(api: APIClient, clock: Clock) -> None:
    noon = EVENING.replace(hour=12)
    experiment = make_running()
    for number, now in enumerate([noon, noon - HOUR, noon - HOUR / 2, noon]):
        record(experiment, counts("control", 10_000 + number, 700))
        clock(lambda now=now: now)  # type: ignore[misc]  # mypy sees no default in a lambda
        assert api.post(f"/api/v1/experiments/{experiment.key}/allocation/").status_code == 201

    ledger = list(Allocation.objects.order_by("revision"))
    shown = api.get(f"/api/v1/experiments/{experiment.key}/allocation/").json()

    assert [row.revision for row in ledger] == [1, 2, 3, 4]
    assert sorted(row.created_at for row in ledger) == [row.created_at for row in ledger]
    assert shown["revision"] == 4


@pytest.mark.django_db
def test_clock__set_back_over_midnight__each_day_keeps_its_own_revisions(
    api: APIClient, clock: Clock
) -> None:
    """The day that has not begun any more follows a decision for the day before it."""
    night = EVENING + HOUR / 2
    experiment = make_running()
    for number, now in enumerate([night, night - HOUR, night]):
        record(experiment, counts("control", 10_000 + number, 700))
        clock(lambda now=now: now)  # type: ignore[misc]  # as above
        assert api.post(f"/api/v1/experiments/{experiment.key}/allocation/").status_code == 201

    ledger = Allocation.objects.order_by("target_date", "revision")

    assert list(ledger.values_list("target_date", "revision")) == [
        (LAST_DAY, 1),
        (NEXT_DAY, 1),
        (NEXT_DAY, 2),
        (NEXT_DAY, 3),
    ]


@pytest.mark.django_db
def test_clock__set_back_over_midnight__what_was_recorded_is_kept(api: APIClient, clock: Clock) -> None:
    make_running()
    clock(lambda: EVENING + HOUR / 2)
    assert (
        api.post("/api/v1/events/", {"rows": [_row("control", DAY_AFTER)]}, format="json").status_code == 200
    )

    clock(lambda: EVENING - HOUR / 2)
    again = api.post("/api/v1/events/", {"rows": [_row("variant_b", DAY_AFTER)]}, format="json")

    assert again.status_code == 422
    assert _stored() == [("control", DAY_AFTER)]


def _far_zone() -> str:
    """A time zone in which it is now another day than in UTC."""
    return "Pacific/Kiritimati" if dt.datetime.now(dt.UTC).hour >= 11 else "Pacific/Pago_Pago"


@pytest.mark.parametrize(
    ("host", "own"), [(_far_zone(), "UTC"), ("UTC", _far_zone())], ids=["host", "service"]
)
def test_service__on_a_host_in_another_time_zone__lives_by_its_own(
    tmp_path: Path, report: Report, host: str, own: str
) -> None:
    with served(sqlite_in(tmp_path), TZ=host, TIME_ZONE=own) as service:
        day = dt.datetime.now(ZoneInfo(own)).date()
        body = {"name": "Button", "variants": [{"name": "control"}], "status": "active"}
        assert service.post("/api/v1/experiments/", body).status_code == 201
        tomorrow, later = (_post(service, day + dt.timedelta(days=ahead)) for ahead in (1, 2))
        decided = service.post("/api/v1/experiments/button/allocation/", {}).json()
        swept = service.run("allocate", "--all")
        kept = service.get("/api/v1/experiments/button/metrics/").json()["results"]

    report(f"host in {host}, service in {own}: its day is {day}")
    assert (tomorrow, later) == (200, 422)
    assert [row["date"] for row in kept] == [(day + dt.timedelta(days=1)).isoformat()]
    assert decided["target_date"] == day.isoformat()
    assert f"computed for {day}" in swept


def _post(service: Service, date: dt.date) -> int:
    return service.post("/api/v1/events/", {"rows": [_row("control", date, "button")]}).status_code
