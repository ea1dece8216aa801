"""A chunk of the sweep: constant numbers of statements, and what is not new is not looked at again."""

import datetime as dt
import gc
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from allocation.models import Allocation, SweepMark
from allocation.sweep import SweptChunk, sweep_chunk
from allocation.traffic.alarms import try_to_alert
from allocation.traffic.closed_days import compared_traffic
from experiments.models import Experiment, Status
from experiments.services import change_status, update_experiment
from notifications.events import EventKind
from notifications.models import Alarm
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]
DAY = dt.timedelta(days=1)


def _sweep(*experiments: Experiment, date: dt.date = TODAY, now: dt.datetime = NOW) -> SweptChunk:
    return sweep_chunk(experiment_ids=[e.pk for e in experiments], target_date=date, now=now)


def _queries(*experiments: Experiment) -> int:
    with CaptureQueriesContext(connection) as captured:
        _sweep(*experiments)
    return len(captured)


def test_sweep_chunk__nothing_new__is_one_statement() -> None:
    experiments = [make_running(f"E{n}") for n in range(3)]
    assert _sweep(*experiments).recorded == 3

    assert _queries(*experiments) == 1

    again = _sweep(*experiments)
    assert (again.unchanged, again.computed, again.experiments) == (3, 3, ())


def test_sweep_chunk__more_experiments__no_more_statements() -> None:
    first = [make_running(f"First {n}") for n in range(2)]
    more = [make_running(f"More {n}") for n in range(6)]

    assert _queries(*more) == _queries(*first)


def test_sweep_chunk__done__python_collects_as_often_as_before() -> None:
    usual = gc.get_threshold()

    assert _sweep(make_running()).recorded == 1

    assert gc.get_threshold() == usual


def test_sweep_chunk__result__is_plain_data() -> None:
    swept = _sweep(make_running(), make_experiment("Empty"))

    told = json.loads(json.dumps(asdict(swept)))

    assert [one["error"] for one in told["experiments"]] == ["", "no_active_variant"]
    assert (swept.computed, swept.recorded, swept.failed, swept.faults) == (1, 1, 1, 0)


def test_sweep_chunk__paused_or_deleted_since_it_was_planned__is_left_out() -> None:
    paused, deleted = make_running("Paused"), make_running("Deleted")
    change_status(experiment_id=paused.pk, to=Status.PAUSED, now=NOW)
    gone = deleted.pk
    deleted.delete()

    assert sweep_chunk(experiment_ids=[paused.pk, gone], target_date=TODAY, now=NOW) == SweptChunk()


def _more_data(experiment: Experiment) -> None:
    record(experiment, counts("control", 5, 1, date=TODAY - DAY))


def _same_data(experiment: Experiment) -> None:
    record(experiment, counts("control", 10000, 700))


def _another_setting(experiment: Experiment) -> None:
    update_experiment(experiment_id=experiment.pk, settings={"maturity_days": 1}, now=NOW)


def _paused_and_resumed(experiment: Experiment) -> None:
    for status in (Status.PAUSED, Status.ACTIVE):
        change_status(experiment_id=experiment.pk, to=status, now=NOW)


def _mismatch(experiment: Experiment) -> None:
    Alarm.objects.create(experiment=experiment, kind=EventKind.SAMPLE_RATIO_MISMATCH, raised_at=NOW)


def _decided_by_a_call(experiment: Experiment) -> None:
    _more_data(experiment)
    allocate(experiment)


def _ledger_lost(experiment: Experiment) -> None:
    Allocation.objects.filter(experiment=experiment).delete()


@pytest.mark.parametrize(
    "change",
    [
        _more_data,
        _same_data,
        _another_setting,
        _paused_and_resumed,
        _mismatch,
        _decided_by_a_call,
        _ledger_lost,
    ],
)
def test_sweep_chunk__change_of_one__looks_at_that_one(change: Callable[[Experiment], None]) -> None:
    changed, other = make_running("Changed"), make_running("Other")
    _sweep(changed, other)

    change(changed)
    swept = _sweep(changed, other)

    assert [one.experiment_id for one in swept.experiments] == [changed.pk]
    assert swept.unchanged == 1


def _more_data_decided(experiment: Experiment) -> None:
    record(experiment, counts("control", 10_000, 800))
    allocate(experiment)


@pytest.mark.parametrize("change", [_more_data, _another_setting, _paused_and_resumed, _more_data_decided])
def test_sweep_chunk__change_after_its_traffic_was_looked_at__is_looked_at_by_the_next(
    change: Callable[[Experiment], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = make_running()

    def then_change(*arguments: Any) -> set[int]:
        looked = try_to_alert(*arguments)
        change(experiment)
        return looked

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("allocation.sweep.chunk.try_to_alert", then_change)
        _sweep(experiment)

    assert _sweep(experiment).unchanged == 0
    assert _sweep(experiment).unchanged == 1


def test_sweep_chunk__traffic_of_one_cannot_be_compared__the_next_looks_at_that_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = make_running("One"), make_running("Other")

    def compared(variants: Mapping[int, Any], date: dt.date) -> Any:
        if one.pk in variants:
            raise ValueError("no comparison")
        return compared_traffic(variants, date)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("allocation.traffic.alarms.compared_traffic", compared)
        first = _sweep(one, other)

    assert (first.recorded, first.failed, first.traffic_failed) == (2, 0, False)
    again = _sweep(one, other)
    assert [swept.experiment_id for swept in again.experiments] == [one.pk]
    assert _sweep(one, other).unchanged == 2


def test_sweep_chunk__default_of_the_installation__looks_at_all(settings: Settings) -> None:
    experiment = make_running()
    _sweep(experiment)

    settings.ALGORITHM_DEFAULTS = {**settings.ALGORITHM_DEFAULTS, "exploitation": 2.0}

    assert _sweep(experiment).recorded == 1


def test_sweep_chunk__another_day__looks_at_all() -> None:
    experiment = make_running()
    _sweep(experiment)

    assert _sweep(experiment, date=TODAY + DAY, now=NOW + DAY).recorded == 1


def test_sweep_chunk__decided_for_tomorrow__is_watched_tomorrow() -> None:
    experiment = make_running()

    _sweep(experiment, date=TODAY + DAY)

    assert not SweepMark.objects.exists()


def test_sweep_chunk__split_of_a_day_that_has_data_already__is_compared_with_them_next() -> None:
    experiment = make_running(maturity_days=1)
    record(experiment, counts("control", 5, 1), counts("variant_b", 5, 1))

    _sweep(experiment)
    assert not SweepMark.objects.exists()

    _sweep(experiment)
    assert SweepMark.objects.get().experiment == experiment
