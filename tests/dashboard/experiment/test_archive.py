"""Everything of an experiment in one ZIP."""

import csv
import datetime as dt
import io
import json
from typing import Any

import pytest

from allocation.statistics.csv_file import COLUMNS as RESULT_COLUMNS
from allocation.statistics.decision_log import COLUMNS as LOG_COLUMNS
from dashboard.experiment.report.archive import NOTE_COLUMNS, experiment_archive
from dashboard.experiment.summary import experiment_or_404
from experiments.campaign.watch import add_note
from experiments.models import Experiment
from experiments.services import update_experiment
from experiments.tables.history import HISTORY_COLUMNS
from tests.dashboard.clients import client_of
from tests.dashboard.experiment.weeks import three_weeks
from tests.dashboard.files import zip_of
from tests.factory import NOW, TODAY, make_experiment, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


def test_archive__experiment__holds_everything_in_files_that_open() -> None:
    experiment = three_weeks("Button colour", 66)
    add_note(experiment_id=experiment.pk, date=TODAY, text="=SUM(1)", now=NOW)
    update_experiment(experiment_id=experiment.pk, now=NOW, name="Button", settings={"max_daily_shift": 0.1})

    response = client_of("viewer").get("/dashboard/experiments/button-colour/everything.zip")
    files = zip_of(response)

    assert response["Content-Disposition"] == 'attachment; filename="button-colour.zip"'
    assert files.testzip() is None
    rows = {n: list(csv.reader(io.StringIO(files.read(n).decode()))) for n in files.namelist() if ".csv" in n}
    assert {name: len(lines) for name, lines in rows.items()} == {
        "results.csv": 3,
        "daily-metrics.csv": 43,
        "decision-log.csv": 2,
        "notes.csv": 2,
        "history.csv": len(rows["history.csv"]),
    }
    assert rows["notes.csv"][1][:2] == ["2025-09-01", "'=SUM(1)"]
    assert ["experiment", "max_daily_shift", "", "0.1"] in [line[2:6] for line in rows["history.csv"]]
    settings = json.loads(files.read("settings.json"))
    assert (settings["name"], settings["own_settings"]["max_daily_shift"]) == ("Button", 0.1)
    assert [variant["key"] for variant in settings["variants"]] == ["control", "b"]


def test_archive__its_readme__names_every_column() -> None:
    files = zip_of(_archived(make_running()))
    readme = files.read("README.txt").decode()

    plain = [c for c in RESULT_COLUMNS if not c.startswith("uplift_always_valid_")]
    for column in (*plain, *LOG_COLUMNS, *NOTE_COLUMNS, *HISTORY_COLUMNS):
        assert column in readme, column
    for name in files.namelist():
        assert name == "README.txt" or name in readme
    for key in json.loads(files.read("settings.json")):
        assert key in readme, key


def test_archive__draft_without_data__is_complete_all_the_same() -> None:
    files = zip_of(_archived(make_experiment()))

    assert files.testzip() is None
    assert len(files.namelist()) == 7


def _archived(experiment: Experiment) -> Any:
    class Response:
        streaming_content = experiment_archive(experiment_or_404(experiment.key, TODAY), TODAY)

    return Response


def test_archive__many_decisions__come_in_small_blocks() -> None:
    experiment = three_weeks("Button colour", 66)
    for age in range(300):
        add_note(
            experiment_id=experiment.pk, date=TODAY - dt.timedelta(days=age), text=f"{age}" * 100, now=NOW
        )

    blocks = list(experiment_archive(experiment_or_404(experiment.key, TODAY), TODAY))

    assert max(map(len, blocks)) < 40_000
