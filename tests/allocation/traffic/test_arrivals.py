"""Traffic that does not arrive as it was split is known at once: no decision calls such an experiment decided."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client

from allocation import arrivals
from allocation.campaigns.schedule import complete_decided
from allocation.ledger.verification import verify_ledger
from allocation.models import Allocation, State
from allocation.sweep import sweep_chunk
from dashboard.experiment_list.stages import Flag, Stage
from experiments.ingestion.manual_edits import set_day
from experiments.models import Experiment, Status
from experiments.tables.importing.importer import Target, import_table
from notifications.events import EventKind
from notifications.models import Alarm, Event
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_table, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine", "endpoint")]

EVENLY = (counts("control", 10000, 700), counts("b", 10000, 950))
AS_SPLIT = (counts("control", 6000, 420), counts("b", 14000, 1330))


HEAD = "experiment_id,date,variant_name,impressions,clicks,conversions\n"


def make_decided(**settings: Any) -> Experiment:
    """Two weeks of data, from which 70% of today's traffic goes to the leader."""
    experiment = make_experiment(**settings)
    for age in range(14, 0, -1):
        day = TODAY - dt.timedelta(days=age)
        record(experiment, *(row._replace(date=day) for row in EVENLY))
    assert allocate(experiment).state == State.DECIDED
    return experiment


def upload(experiment: Experiment, *, dry_run: bool = False) -> None:
    rows = "".join(f"{row.date},{row.variant_name},{row.impressions},{row.clicks},0\n" for row in EVENLY)
    table = make_table(f"date,variant_name,impressions,clicks,conversions\n{rows}")
    import_table(table, today=TODAY, now=NOW, target=Target(experiment), dry_run=dry_run)


def lines_of(experiments: list[Experiment]) -> str:
    return "".join(
        f"{experiment.key},{row.date},{row.variant_name},{row.impressions},{row.clicks},0\n"
        for experiment in experiments
        for row in EVENLY
    )


def mismatch_is_told() -> bool:
    return Alarm.objects.filter(kind=EventKind.SAMPLE_RATIO_MISMATCH, cleared_at=None).exists()


def listed(client: Client) -> tuple[Stage, tuple[Flag, ...]]:
    (row,) = client.get("/dashboard/").context["rows"]
    return row.stage, row.flags


def test_upload__traffic_not_as_split__list_results_and_api_say_so_at_once(client: Client) -> None:
    experiment = make_decided()
    before = listed(client)

    upload(experiment)

    page = client.get(f"/dashboard/experiments/{experiment.key}/")
    api = client.get(f"/api/v1/experiments/{experiment.key}/allocation/").json()
    statistics = client.get(f"/api/v1/experiments/{experiment.key}/statistics/").json()
    assert before == (Stage.READY, ())
    assert listed(client) == (Stage.LEARNING, (Flag.MISMATCH,))
    assert page.context["results"].is_mismatched
    assert (api["state"], statistics["state"]) == (State.LEADER, State.LEADER)


def test_upload__many_experiments_in_doubt__all_have_the_alarm_and_the_sweep_decides_the_others_again(
    monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    monkeypatch.setattr(arrivals, "_MOST_AGAIN", 1)
    experiments = [make_decided(name=name) for name in ("One", "Two")]

    import_table(make_table(HEAD + lines_of(experiments)), today=TODAY, now=NOW)

    alarms = Alarm.objects.filter(kind=EventKind.SAMPLE_RATIO_MISMATCH, cleared_at=None)
    assert alarms.count() == 2
    shown = {(row.stage, row.flags) for row in client.get("/dashboard/").context["rows"]}
    assert shown == {(Stage.LEARNING, (Flag.MISMATCH,))}
    assert states_of(experiments) == [State.LEADER, State.DECIDED]
    sweep_chunk(experiment_ids=[one.pk for one in experiments], target_date=TODAY, now=NOW)
    assert states_of(experiments) == [State.LEADER, State.LEADER]


def test_upload__histories_too_long_for_a_request__the_first_is_looked_at_and_the_sweep_looks_at_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arrivals, "_MOST_DAYS", 40)
    experiments = [make_decided(name=name) for name in ("One", "Two")]
    alarms = Alarm.objects.filter(kind=EventKind.SAMPLE_RATIO_MISMATCH, cleared_at=None)

    import_table(make_table(HEAD + lines_of(experiments)), today=TODAY, now=NOW)

    assert [alarm.experiment for alarm in alarms] == experiments[:1]
    sweep_chunk(experiment_ids=[one.pk for one in experiments], target_date=TODAY, now=NOW)
    assert alarms.all().count() == 2


def test_upload__history_too_long_to_decide_again_in_a_request__has_the_alarm_and_waits_for_the_sweep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arrivals, "_MOST_DAYS_AGAIN", 29)
    experiment = make_decided()

    upload(experiment)

    assert (mismatch_is_told(), states_of([experiment])) == (True, [State.DECIDED])
    sweep_chunk(experiment_ids=[experiment.pk], target_date=TODAY, now=NOW)
    assert states_of([experiment]) == [State.LEADER]


def states_of(experiments: list[Experiment]) -> list[str]:
    newest = Allocation.objects.newest_of([one.pk for one in experiments], TODAY)
    return [newest.get(experiment=one).state for one in experiments]


def test_upload__that_only_previews__raises_no_alarm() -> None:
    experiment = make_decided()

    upload(experiment, dry_run=True)

    assert not mismatch_is_told()


def test_upload__of_an_experiment_that_does_not_run__raises_no_alarm() -> None:
    experiment = make_decided()
    Experiment.objects.filter(pk=experiment.pk).update(status=Status.PAUSED)

    upload(experiment)

    assert not mismatch_is_told()


def test_day__wrong_and_then_repaired__the_alarm_comes_and_goes() -> None:
    experiment = make_decided()

    set_day(experiment_id=experiment.pk, rows=EVENLY, today=TODAY, now=NOW)
    wrong = mismatch_is_told()
    set_day(experiment_id=experiment.pk, rows=AS_SPLIT, today=TODAY, now=NOW)

    assert (wrong, mismatch_is_told()) == (True, False)


def test_decision__traffic_not_as_split_since_the_last_sweep__is_not_decided(client: Client) -> None:
    experiment = make_decided()
    record(experiment, *EVENLY)

    decision = allocate(experiment)

    assert (decision.state, decision.recorded_inputs["mismatch"]) == (State.LEADER, True)
    assert mismatch_is_told()
    assert listed(client) == (Stage.LEARNING, (Flag.MISMATCH,))
    assert [problem for found in verify_ledger() for problem in found.differences] == []


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

    assert set(Event.objects.values_list("kind", flat=True)) == {EventKind.SAMPLE_RATIO_MISMATCH}
    assert not Alarm.objects.filter(kind=EventKind.EXPERIMENT_DECIDED, cleared_at=None).exists()


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
