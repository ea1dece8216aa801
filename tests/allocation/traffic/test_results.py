"""No decision calls an experiment decided whose traffic does not arrive as it was split."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client

from allocation.campaigns.schedule import complete_decided
from allocation.ledger.verification import verify_ledger
from allocation.models import Allocation, State
from allocation.sweep import run_daily_sweep
from dashboard.experiment_list.stages import Flag, Stage
from experiments.models import Experiment, Status
from notifications.events import EventKind
from notifications.models import Alarm, Event
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine", "endpoint")]

EVENLY = (counts("control", 10000, 700), counts("b", 10000, 950))
AS_SPLIT = (counts("control", 6000, 420), counts("b", 14000, 1330))


def make_decided(**settings: Any) -> Experiment:
    """Two weeks of data, from which 70% of the traffic since yesterday goes to the leader."""
    experiment = make_experiment(**settings)
    for age in range(15, 1, -1):
        day = TODAY - dt.timedelta(days=age)
        record(experiment, *(row._replace(date=day) for row in EVENLY))
    assert allocate(experiment, TODAY - dt.timedelta(days=1)).state == State.DECIDED
    return experiment


def mismatch_is_told() -> bool:
    return Alarm.objects.filter(kind=EventKind.SAMPLE_RATIO_MISMATCH, cleared_at=None).exists()


def listed(client: Client) -> tuple[Stage, tuple[Flag, ...]]:
    (row,) = client.get("/dashboard/").context["rows"]
    return row.stage, row.flags


def test_decision__traffic_not_as_split_since_the_last_sweep__is_not_decided(client: Client) -> None:
    experiment = make_decided()
    before = listed(client)
    record(experiment, *EVENLY)

    decision = allocate(experiment)

    page = client.get(f"/dashboard/experiments/{experiment.key}/")
    statistics = client.get(f"/api/v1/experiments/{experiment.key}/statistics/").json()
    assert (decision.state, decision.recorded_inputs["mismatch"]) == (State.LEADER, True)
    assert mismatch_is_told()
    assert before == (Stage.READY, ())
    assert listed(client) == (Stage.LEARNING, (Flag.MISMATCH,))
    assert page.context["results"].is_mismatched
    assert statistics["state"] == State.LEADER
    assert [problem for found in verify_ledger() for problem in found.differences] == []


def test_decision__for_visitors_and_as_the_revision_before__compares_no_traffic(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = make_decided()
    allocate(experiment)
    monkeypatch.setattr("allocation.traffic.results.settle_mismatches", fails)
    record(experiment, *AS_SPLIT)

    assert client.get(f"/allocation?experiment_id={experiment.pk}").status_code == 200
    last = Allocation.objects.filter(experiment=experiment).latest("id")
    assert (last.state, last.revision) == (State.DECIDED, 2)


def test_decision__asked_for_by_a_person_and_as_the_revision_before__compares_traffic(client: Client) -> None:
    experiment = make_decided()
    allocate(experiment)
    record(experiment, *EVENLY)

    answer = client.post(f"/api/v1/experiments/{experiment.key}/allocation/", {}, "application/json").json()

    assert (answer["state"], answer["revision"]) == (State.LEADER, 2)
    assert mismatch_is_told()
    assert listed(client) == (Stage.LEARNING, (Flag.MISMATCH,))


def test_decision__again_beside_the_alarm_that_it_raised__is_the_same() -> None:
    experiment = make_decided()
    record(experiment, *EVENLY)

    first = allocate(experiment)

    assert allocate(experiment).pk == first.pk


def test_decision__that_finds_the_mismatch__tells_of_it_and_of_no_leader() -> None:
    experiment = make_decided()
    Event.objects.all().delete()
    record(experiment, *EVENLY)

    allocate(experiment)

    kinds = {EventKind.ALLOCATION_CHANGED, EventKind.SAMPLE_RATIO_MISMATCH}
    assert set(Event.objects.values_list("kind", flat=True)) == kinds
    assert not Alarm.objects.filter(kind=EventKind.EXPERIMENT_DECIDED, cleared_at=None).exists()


def test_sweep__traffic_repaired__clears_the_alarm_and_decides_again(client: Client) -> None:
    experiment = make_decided()
    record(experiment, *EVENLY)
    allocate(experiment)

    record(experiment, *AS_SPLIT)
    run_daily_sweep(target_date=TODAY, now=NOW)

    decision = allocate(experiment)
    assert (decision.state, decision.recorded_inputs["mismatch"]) == (State.DECIDED, False)
    assert not mismatch_is_told()
    assert listed(client) == (Stage.READY, ())
    assert [problem for found in verify_ledger() for problem in found.differences] == []


def test_decision__mismatched_as_before_though_the_alarm_was_cleared__is_the_one_recorded() -> None:
    experiment = make_decided()
    record(experiment, *EVENLY)
    first = allocate(experiment)
    Alarm.objects.update(cleared_at=NOW)

    again = allocate(experiment)

    assert (again.pk, again.revision) == (first.pk, first.revision)
    assert Allocation.objects.filter(experiment=experiment).latest("id").pk == first.pk
    assert mismatch_is_told()


def test_decision__traffic_that_cannot_be_compared__is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = make_decided()
    record(experiment, *AS_SPLIT)
    monkeypatch.setattr("allocation.traffic.alarms.compared_traffic", fails)

    decided = allocate(experiment)
    record(experiment, *AS_SPLIT[:1])
    run_daily_sweep(target_date=TODAY, now=NOW)

    assert (decided.state, decided.revision) == (State.DECIDED, 1)
    assert not Alarm.objects.filter(kind=EventKind.SAMPLE_RATIO_MISMATCH).exists()


def fails(*_: object) -> None:
    raise ZeroDivisionError


def test_decision__for_an_earlier_day__raises_no_alarm() -> None:
    experiment = make_decided()
    Allocation.objects.filter(experiment=experiment).update(target_date=TODAY - dt.timedelta(days=1))
    yesterday = TODAY - dt.timedelta(days=1)
    record(experiment, *(row._replace(date=yesterday, impressions=3 * row.impressions) for row in EVENLY[:1]))

    allocate(experiment, yesterday)

    assert not mismatch_is_told()


def test_complete_decided__traffic_not_as_split_since_the_decision__waits() -> None:
    experiment = make_decided(complete_when_decided=True)
    record(experiment, *EVENLY)

    assert complete_decided(target_date=TODAY, now=NOW) == 0
    experiment.refresh_from_db()
    assert experiment.status == Status.ACTIVE
