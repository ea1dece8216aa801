"""Everything of an experiment in one ZIP."""

import csv
import datetime as dt
import io
import json
from typing import Any

import pytest
from django.utils import translation

from allocation.services import complete_experiment
from allocation.statistics.csv_file import COLUMNS as RESULT_COLUMNS
from allocation.statistics.decision_log import COLUMNS as LOG_COLUMNS
from dashboard.experiment.history.file import HISTORY_COLUMNS
from dashboard.experiment.history.page import entries_of
from dashboard.experiment.report.archive import NOTE_COLUMNS, experiment_archive
from dashboard.experiment.report.links import create_link
from dashboard.experiment.summary import experiment_or_404
from experiments.audit import record_history
from experiments.audit.intake import line_of_caller, note_intake
from experiments.campaign.models import Note
from experiments.campaign.watch import add_note
from experiments.ingestion.manual_edits import set_day
from experiments.models import Experiment
from experiments.services import update_experiment
from tests.dashboard.clients import client_of
from tests.dashboard.experiment.weeks import three_weeks
from tests.dashboard.files import zip_of
from tests.factory import NOW, TODAY, counts, make_experiment, make_running

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
    assert ["Settings changed", "Maximum daily change", "default", "10 percentage points"] in [
        line[3:7] for line in rows["history.csv"]
    ]
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


def test_archive__history__tells_what_the_page_does() -> None:
    experiment = three_weeks("Button colour", 66)
    b = experiment.variants.get(key="b")
    create_link(experiment=experiment, days=7, now=NOW)
    rows = [counts("control", 100, 10), counts("b", 100, 7)]
    set_day(experiment_id=experiment.pk, rows=rows, today=TODAY, now=NOW)
    note_intake({experiment.pk: 12}, line_of_caller("counts", TODAY), NOW)
    record_history([experiment], reason="typo")
    complete_experiment(
        experiment_id=experiment.pk,
        target_date=TODAY,
        now=NOW,
        winner_id=b.pk,
        decision_reason="=B is better",
    )
    with translation.override("pt-br"):
        lines = list(csv.DictReader(io.StringIO(zip_of(_archived(experiment)).read("history.csv").decode())))

    told = [(line["about"], line["happened"], line["text"]) for line in lines if not line["field"]]
    assert told == [
        (entry.topic.value, entry.title, entry.text.replace("=B", "'=B"))
        for entry in entries_of(experiment)
        if not entry.fields
    ]
    assert {
        ("data", "Visits counted (12 rows)", ""),
        ("data", "Day edited: 1 Sep 2025", "control, b"),
        ("data", "Changed", "typo"),
        ("status", "Ended: b gets all traffic", "'=B is better"),
        ("sharing", "Link to the report made, valid until 8 Sep 2025", ""),
    } <= set(told)
    assert str(b.pk) not in {line[column] for line in lines for column in ("before", "after")}


def test_archive__history_longer_than_the_page__is_whole() -> None:
    experiment = make_experiment()
    Note.objects.bulk_create(
        Note(experiment=experiment, date=TODAY, text="Sale", created_at=NOW) for _ in range(2100)
    )

    history = zip_of(_archived(experiment)).read("history.csv").decode()

    assert history.count("Sale") == 2100
