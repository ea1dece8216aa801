"""After each kind of write, the next decision and the next sweep are what they are without any short way.

Short ways are the basis of a decision, the marks and sums of a sweep, and answers in a worker's memory. Each stands for
data that is not read again: a write that one of them does not notice would be lost without a word.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import caches
from django.test import override_settings
from pytest_django import DjangoDbBlocker, Settings
from rest_framework.test import APIClient

from allocation.api.classic.views import allocation_json, history_json
from allocation.campaigns.guards import resume_after_guard
from allocation.campaigns.undo import undo_completion
from allocation.exceptions import NotStoppedError
from allocation.ledger import before
from allocation.ledger.entries import prune_superseded
from allocation.models import Allocation, ClosedTraffic, SweepMark
from allocation.services import complete_experiment, compute_allocations
from allocation.sweep import run_daily_sweep
from experiments.campaign.models import GuardAction
from experiments.campaign.watch import add_guard, change_guard, delete_guard
from experiments.ingestion.manual_edits import set_day
from experiments.ingestion.record import record_batch, record_events, record_placed
from experiments.metrics import DailyCounts, Reward
from experiments.models import Experiment, Status
from experiments.services import change_status, update_experiment
from experiments.variants import add_variant, change_variant
from notifications.models import Alarm
from serving.counting import Increments, count_increments
from tests.allocation.ledger.test_newest import kept, newest_of_the_log
from tests.committed import committed
from tests.conftest import forget_all
from tests.factory import NOW, TODAY, counts, make_experiment, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

DAY = dt.timedelta(days=1)
# Of a change: no two of them are at the same moment.
LATER = NOW + dt.timedelta(minutes=1)
# Of a day that is closed, and of today.
AGES = (12, 0)
# Alarms rest on little data.
_EAGER = {"ALARM_GRACE_DAYS": 1, "ALARM_MIN_IMPRESSIONS": 1}
Write = Callable[[Experiment], object]


@pytest.fixture(autouse=True)
def eager(settings: Settings) -> None:
    for name, value in _EAGER.items():
        setattr(settings, name, value)


@pytest.fixture(scope="module")
def lived(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[int]:
    """The id of an experiment with sixteen days of three variants, decided and swept, with nothing new."""
    forget_all()
    with django_db_blocker.unblock(), committed():
        with pytest.MonkeyPatch.context() as clock, override_settings(**_EAGER):
            clock.setattr("django.utils.timezone.now", lambda: NOW)
            made = _live()
        yield made


def _live() -> int:
    experiment = make_experiment(min_impressions=100)
    dates = [TODAY - age * DAY for age in range(16, -1, -1)]
    names = ("control", "b", "c")
    record(experiment, *(counts(name, 1000, 50, 20, date=date) for date in dates for name in names))
    compute_allocations(
        experiment_ids=[experiment.pk], target_date=dates[1], now=NOW - 15 * DAY, announce=False
    )
    add_guard(
        experiment_id=experiment.pk,
        metric=Reward.CONVERSION_RATE,
        max_fall=50,
        action=GuardAction.TELL,
        now=NOW,
    )
    for age in (2, 1, 0):
        _sweep(age)
    _answers(experiment)
    _sweep()
    return experiment.pk


@pytest.fixture
def experiment(lived: int) -> Experiment:
    """The one that has lived, as this process's memory has it, too."""
    made = Experiment.objects.get(pk=lived)
    _answers(made)
    return made


def _sweep(age: int = 0) -> int:
    return run_daily_sweep(target_date=TODAY - age * DAY, now=NOW - age * DAY).recorded


def _answers(experiment: Experiment) -> tuple[object, ...]:
    """All that tells of the decision in force; the first one decides."""
    api, path = APIClient(), f"/api/v1/experiments/{experiment.key}"
    return (
        allocation_json(experiment.pk),
        history_json(str(experiment.pk)),
        api.get(f"{path}/allocation/").json(),
        api.get(f"{path}/assignment/", {"unit": "u"}).json(),
    )


def _forget() -> None:
    """Leave no short way: what follows reads everything."""
    Allocation.objects.update(basis=None)
    SweepMark.objects.all().delete()
    ClosedTraffic.objects.all().delete()
    before.forget()
    for name in ("allocation", "v1-allocation", "assignment", "history"):
        caches[name].clear()


def _alarms() -> list[tuple[str, bool]]:
    return sorted((alarm.kind, alarm.cleared_at is None) for alarm in Alarm.objects.all())


def _set(age: int, many: int = 9000) -> Write:
    return lambda e: record(e, counts("b", many, 90, 30, date=TODAY - age * DAY))


def _add(age: int) -> Write:
    def write(experiment: Experiment) -> None:
        row = counts("b", 8000, 400, 10, date=TODAY - age * DAY)
        record_events(experiment_id=experiment.pk, rows=[row], today=TODAY, now=NOW, mode="add")

    return write


def _count(age: int) -> Write:
    def write(experiment: Experiment) -> None:
        row = counts("b", 8000, 400, 10, date=TODAY - age * DAY)
        count_increments(given=Increments([(experiment.key, row)], {}), today=TODAY, now=NOW)

    return write


def _batch(age: int) -> Write:
    def write(experiment: Experiment) -> None:
        other = make_experiment("Another")
        row, date = counts("b", 9000, 90, date=TODAY - age * DAY), TODAY
        record_batch(
            rows=[(other.key, counts("control", 1, 1, date=date)), (experiment.key, row)],
            today=TODAY,
            now=NOW,
        )
        record_batch(rows=[(other.key, counts("control", 2, 1)), (experiment.key, row)], today=TODAY, now=NOW)

    return write


def _import(age: int) -> Write:
    return lambda e: record_placed(
        rows=[(e.pk, counts("b", 9000, 90, date=TODAY - age * DAY))], today=TODAY, now=NOW
    )


def _by_hand(age: int, many: int = 9000) -> Write:
    def write(experiment: Experiment) -> None:
        row = counts("b", many, min(many, 90), date=TODAY - age * DAY)
        set_day(experiment_id=experiment.pk, rows=[row], today=TODAY, now=NOW, source="admin", reason="wrong")

    return write


def _posted(age: int) -> Write:
    def write(experiment: Experiment) -> None:
        row = {"date": str(TODAY - age * DAY), "variant_name": "b", "impressions": 9000, "clicks": 90}
        rows = [{"experiment_id": experiment.key, **row}]
        answer = APIClient().post("/api/v1/events/", {"rows": rows}, "json")
        assert answer.status_code < 300, answer.content

    return write


def _with_values(experiment: Experiment) -> None:
    row = DailyCounts(TODAY - 12 * DAY, "b", 9000, 90, 30, Decimal(50), 100.0)
    record_events(experiment_id=experiment.pk, rows=[row], today=TODAY, now=NOW)


def _change(which: str, **fields: Any) -> Write:
    return lambda e: change_variant(
        experiment_id=e.pk, variant_id=e.variants.get(name=which).pk, now=LATER, **fields
    )


def _back(experiment: Experiment) -> None:
    for is_active in (False, True):
        _change("c", is_active=is_active)(experiment)


def _settings(**given: Any) -> Write:
    return lambda e: update_experiment(experiment_id=e.pk, settings=given, now=NOW)


def _status(*statuses: Status) -> Write:
    return lambda e: [change_status(experiment_id=e.pk, to=status, now=NOW) for status in statuses]


def _end(experiment: Experiment) -> None:
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)


def _end_undone(experiment: Experiment) -> None:
    _end(experiment)
    undo_completion(experiment_id=experiment.pk, now=NOW)


def _pause_end_undone(experiment: Experiment) -> None:
    _status(Status.PAUSED)(experiment)
    _end_undone(experiment)


def _scheduled_end(experiment: Experiment) -> None:
    Experiment.objects.filter(pk=experiment.pk).update(ends_at=NOW - dt.timedelta(hours=1), on_end="control")
    _sweep()


def _guard_that_acts(experiment: Experiment) -> None:
    guard = experiment.guards.get()
    change_guard(experiment=experiment, guard_id=guard.pk, now=NOW, action=GuardAction.ACT, max_fall=1.0)
    record(experiment, *(counts("b", 1000, 60, 2, date=TODAY - age * DAY) for age in range(1, 15)))


def _guard_resumed(experiment: Experiment) -> None:
    _guard_that_acts(experiment)
    _sweep()
    try:
        resume_after_guard(experiment_id=experiment.pk, target_date=TODAY, now=NOW)
    except NotStoppedError:
        pytest.fail("the guard did not act")


def _guard_deleted(experiment: Experiment) -> None:
    delete_guard(experiment=experiment, guard_id=experiment.guards.get().pk, now=NOW)


def _decided_for_tomorrow(experiment: Experiment) -> None:
    compute_allocations(experiment_ids=[experiment.pk], target_date=TODAY + DAY, now=NOW)


def _decided_then_more(experiment: Experiment) -> None:
    _decided_for_tomorrow(experiment)
    _set(0)(experiment)


def _pruned(experiment: Experiment) -> None:
    _set(0)(experiment)
    _answers(experiment)
    prune_superseded(before=NOW + DAY)


def _nothing(experiment: Experiment) -> None:
    pass


WRITES: dict[str, Write] = {
    "nothing": _nothing,
    **{f"set {age}": _set(age) for age in AGES},
    **{f"nothing left {age}": _by_hand(age, 0) for age in AGES},
    **{f"add {age}": _add(age) for age in AGES},
    **{f"count {age}": _count(age) for age in AGES},
    **{f"batch {age}": _batch(age) for age in AGES},
    **{f"import {age}": _import(age) for age in AGES},
    **{f"by hand {age}": _by_hand(age) for age in AGES},
    **{f"posted {age}": _posted(age) for age in AGES},
    "with values": _with_values,
    "late first day": _set(40),
    "variant of events": lambda e: record(e, counts("new", 700, 70, date=TODAY - 12 * DAY)),
    "variant added": lambda e: add_variant(experiment_id=e.pk, name="new", now=NOW),
    "renamed": _change("c", name="other"),
    "deactivated": _change("c", is_active=False),
    "and activated": _back,
    "floor": _settings(control_floor=0.5),
    "maturity": _settings(maturity_days=3),
    "window": _settings(window_days=5),
    "paused": _status(Status.PAUSED),
    "resumed": _status(Status.PAUSED, Status.ACTIVE),
    "ended": _end,
    "end undone": _end_undone,
    "end of a pause undone": _pause_end_undone,
    "end of the schedule": _scheduled_end,
    "guard acts": _guard_that_acts,
    "guard resumed": _guard_resumed,
    "guard deleted": _guard_deleted,
    "decided for tomorrow": _decided_for_tomorrow,
    "decided for tomorrow, then more": _decided_then_more,
    "pruned": _pruned,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_decision__after_each_write__is_the_one_without_short_ways(
    experiment: Experiment, write: Write
) -> None:
    write(experiment)
    found = _answers(experiment)

    # the newest decision as it is kept beside the log is the log's last
    assert kept() == newest_of_the_log()

    entries = Allocation.objects.count()
    _forget()
    assert _answers(experiment) == found
    assert Allocation.objects.count() == entries


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_sweep__after_each_write__is_the_one_without_short_ways(experiment: Experiment, write: Write) -> None:
    write(experiment)
    _sweep()

    entries, alarms, answers = Allocation.objects.count(), _alarms(), _answers(experiment)
    _forget()
    _sweep()
    assert _alarms() == alarms
    assert Allocation.objects.count() == entries
    assert _answers(experiment) == answers

    _sweep(-1)

    entries, alarms = Allocation.objects.count(), _alarms()
    _forget()
    _sweep(-1)
    assert _alarms() == alarms
    assert Allocation.objects.count() == entries
