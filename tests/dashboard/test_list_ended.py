"""Ended experiments in the list: no more is claimed of them than on their own page."""

import csv
import datetime as dt
import io
from collections.abc import Callable

import pytest
from django.test import Client

from allocation.services import complete_experiment
from allocation.sweep.daily import run_daily_sweep
from dashboard.experiment_list.rows import Row
from dashboard.experiment_list.stages import Flag
from dashboard.templatetags.experiment_list import result
from experiments.campaign.models import GuardAction
from experiments.models import Experiment, Status
from experiments.services import change_status
from notifications.events import EventKind
from notifications.models import Alarm
from tests.allocation.test_guards import make_guarded
from tests.dashboard.files import text_of
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]


def _rows(client: Client, query: str = "") -> list[Row]:
    rows: list[Row] = client.get(f"/dashboard/{query}").context["rows"]
    return rows


def _end(experiment: Experiment, name: str) -> None:
    winner = experiment.variants.get(name=name)
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=winner.pk)


def _alone() -> Experiment:
    experiment = make_experiment("Ended")
    record(experiment, counts("control", 10_000, 1000))
    allocate(experiment)
    _end(experiment, "control")
    return experiment


def _with_little_data() -> Experiment:
    """The winner is ahead, on too few trials to be judged."""
    experiment = make_experiment("Ended")
    record(experiment, counts("control", 10_000, 1000), counts("b", 10_000, 1010), counts("c", 30, 12))
    allocate(experiment)
    _end(experiment, "c")
    return experiment


def _mismatched() -> Experiment:
    experiment = make_running("Ended")
    allocate(experiment)
    Alarm.objects.create(experiment=experiment, kind=EventKind.SAMPLE_RATIO_MISMATCH, raised_at=NOW)
    _end(experiment, "variant_b")
    return experiment


def _warned() -> Experiment:
    experiment = make_guarded(GuardAction.TELL, name="Ended")
    allocate(experiment)
    _end(experiment, "b")
    return experiment


def _after_a_guard_acted() -> Experiment:
    experiment = make_guarded(name="Ended")
    allocate(experiment)
    _end(experiment, "b")
    return experiment


def _without_a_success() -> Experiment:
    experiment = make_experiment("Ended")
    record(experiment, counts("control", 10_000, 0), counts("b", 10_000, 0))
    allocate(experiment)
    _end(experiment, "b")
    return experiment


def _with_a_bare_winner() -> Experiment:
    experiment = make_experiment("Ended")
    record(experiment, counts("control", 10_000, 0), counts("b", 10_000, 300))
    allocate(experiment)
    _end(experiment, "control")
    return experiment


@pytest.mark.parametrize(
    ("make", "flags"),
    [
        (_alone, []),
        (_with_little_data, []),
        (_mismatched, [Flag.MISMATCH]),
        (_warned, []),
        (_after_a_guard_acted, []),
        (_without_a_success, []),
        (_with_a_bare_winner, []),
    ],
)
def test_list__ended_without_a_result__says_who_gets_all_traffic_alone(
    client: Client, make: Callable[[], Experiment], flags: list[Flag]
) -> None:
    make()

    (row,) = _rows(client)
    said = result(row)
    (line,) = csv.DictReader(io.StringIO(text_of(client.get("/dashboard/experiments.csv"))))

    assert row.ahead is not None
    assert f"<span>{row.ahead.variant.name}</span></span><small>gets all traffic</small>" in said
    assert list(row.flags) == flags
    assert line["leader"] == row.ahead.variant.key
    assert {line[name] for name in ("lift", "lift_low", "lift_high", "probability_best")} == {""}


@pytest.mark.parametrize("is_swept", [False, True])
def test_list__ended_beside_a_mismatch__is_flagged_and_waits_for_nobody(
    client: Client, is_swept: bool
) -> None:
    _mismatched()
    if is_swept:
        run_daily_sweep(target_date=TODAY, now=NOW)
    make_experiment("Draft", status=Status.DRAFT)

    page = client.get("/dashboard/").content.decode()

    assert "Traffic mismatch (SRM)" in page
    assert [row.experiment.name for row in _rows(client)] == ["Draft", "Ended"]
    assert _rows(client, "?stage=attention") == []


def test_list__ended_before_a_sweep_saw_its_mismatch__is_flagged_as_on_its_page(client: Client) -> None:
    """The data that do not match came after the last decision, and no sweep looks at what has ended."""
    experiment = make_experiment("Ended")
    for age in range(20, 0, -1):
        date = TODAY - age * dt.timedelta(days=1)
        record(experiment, counts("control", 1000, 100, date=date), counts("b", 1000, 130, date=date))
    allocate(experiment)
    record(experiment, counts("control", 1000, 100), counts("b", 1000, 130))
    _end(experiment, "b")

    (row,) = _rows(client)

    assert client.get(f"/dashboard/experiments/{experiment.key}/").context["results"].is_mismatched
    assert row.flags == (Flag.MISMATCH,)
    assert "gets all traffic" in result(row)


def test_results__alarm_of_a_mismatch_is_open__page_doubts_as_the_list_and_the_answer_do(
    client: Client,
) -> None:
    """The numbers may compare well by now; the alarm stays until the next decision, after an end for good."""
    experiment = _mismatched()

    shown = client.get(f"/dashboard/experiments/{experiment.key}/").context
    answer = client.get(f"/api/v1/experiments/{experiment.key}/statistics/").json()

    doubt = "Traffic did not match the allocation (SRM)"
    assert shown["verdict"].lines[0] == f"{doubt}: this result may be wrong."
    assert answer["sentence"].endswith(f"{doubt}.")
    assert f"{doubt} at the last decision" in [check.text for check in shown["health"] if not check.ok]


@pytest.mark.parametrize(
    ("action", "flags", "said"),
    [(GuardAction.TELL, (Flag.GUARD,), "<span>b</span>"), (GuardAction.ACT, (), "Stopped by a guard")],
)
def test_list__paused_beside_a_guard__shows_the_doubt_of_its_page(
    client: Client, action: GuardAction, flags: tuple[Flag, ...], said: str
) -> None:
    experiment = make_guarded(action)
    allocate(experiment)
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)

    (row,) = _rows(client)

    assert client.get(f"/dashboard/experiments/{experiment.key}/").context["verdict"].tone == "danger"
    assert (row.flags, said in result(row)) == (flags, True)
    assert _rows(client, "?stage=attention") == []
