"""Files beyond what a request may bring: refused with the fix, and nothing written. Commands read them."""

import datetime as dt
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from pytest_django import Settings
from rest_framework.test import APIClient

from experiments.models import DailyMetric, Experiment
from experiments.services import lock_experiments
from tests.experiments.tables.workbooks import workbook
from tests.factory import TODAY, make_experiment, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

HEADER = "experiment_id,date,variant_name,impressions,clicks\n"
MOST = 60


@pytest.fixture(autouse=True)
def _few_rows(settings: Settings) -> None:
    settings.MAX_UPLOAD_ROWS = MOST


def _rows(experiment: Experiment, number: int) -> str:
    days = (TODAY - dt.timedelta(days=back) for back in range(number))
    return "".join(f"{experiment.key},{day},control,100,10\n" for day in days)


def _post(api: APIClient, path: str, content: str | bytes, **fields: str) -> Any:
    raw = content if isinstance(content, bytes) else content.encode()
    return api.post(path, {"file": SimpleUploadedFile("file", raw), **fields}, format="multipart")


WAYS = pytest.mark.parametrize("path", ["/api/v1/events/csv/", "/upload-data"])
SPLIT = (
    "split it by experiment or between days, never within a day of one, or load it with manage.py import_events, "
    "which reads any file"
)


def _refusal(response: Any) -> tuple[str, str]:
    (issue,) = response.json()["errors"]
    assert (response.status_code, issue["field"]) == (422, "file")
    return issue["code"], issue["message"]


@WAYS
def test_upload__as_many_rows_as_are_let_in__is_recorded(api: APIClient, path: str) -> None:
    experiment = make_experiment()

    answer = _post(api, path, HEADER + "\n,,,,\n" + _rows(experiment, MOST) + "\n").json()

    assert answer["processed_rows"] == DailyMetric.objects.count() == MOST


@WAYS
@pytest.mark.parametrize("choice", ["reject", "skip"])
def test_upload__a_row_too_many__is_refused_with_the_fix_and_writes_nothing(
    api: APIClient, path: str, choice: Literal["reject", "skip"]
) -> None:
    text = HEADER + _rows(make_experiment(), MOST + 1)
    fields = {"on_error": choice} if path.startswith("/api") else {}

    code, detail = _refusal(_post(api, path, text, **fields))

    assert code == "too_many_rows"
    assert detail == f"the file has more than 60 rows, the most of an upload; {SPLIT}"
    assert not DailyMetric.objects.exists()


@WAYS
def test_upload__a_row_too_many_that_is_bad__is_refused_as_a_whole(api: APIClient, path: str) -> None:
    text = HEADER + _rows(make_experiment(), MOST) + "none,yesterday,,x,y\n"

    assert _refusal(_post(api, path, text))[0] == "too_many_rows"
    assert not DailyMetric.objects.exists()


@WAYS
def test_upload__an_order_too_many__is_refused_with_the_advice_to_keep_days_whole(
    api: APIClient, path: str
) -> None:
    experiment = make_running()
    before = list(DailyMetric.objects.values())
    line = f"{experiment.key},2025-09-01,control,12.50\n"

    code, detail = _refusal(_post(api, path, "experiment_id,date,variant_name,value\n" + line * (MOST + 1)))

    assert (code, "never within a day" in detail) == ("too_many_rows", True)
    assert list(DailyMetric.objects.values()) == before


@WAYS
def test_upload__a_workbook_of_a_row_too_many__is_refused(api: APIClient, path: str) -> None:
    lines = (HEADER + _rows(make_experiment(), MOST + 1)).splitlines()
    sheet = [[int(cell) if cell.isdigit() else cell for cell in line.split(",")] for line in lines]

    assert _refusal(_post(api, path, workbook({"A": sheet})))[0] == "too_many_rows"
    assert _post(api, path, workbook({"A": sheet[:-1]})).json()["processed_rows"] == MOST


@WAYS
def test_upload__a_workbook_whose_last_cell_is_far__is_refused_before_it_is_opened(
    api: APIClient, path: str
) -> None:
    far = '<row r="9000"><c r="A9000"><v>1</v></c></row>'

    assert _refusal(_post(api, path, workbook({"A": []}, sheet1=far)))[0] == "too_large"


@WAYS
@pytest.mark.parametrize(
    ("beyond", "code"),
    [
        ("\n" * 5000, "too_many_cells"),
        ("," * 2000, "too_many_columns"),
        ("\n" * 60 + "," * 5000, "too_many_cells"),
    ],
    ids=["empty lines", "wide line", "wide line far below"],
)
def test_upload__few_rows_and_many_cells__is_refused(
    api: APIClient, path: str, beyond: str, code: str
) -> None:
    text = HEADER + _rows(make_experiment(), 1) + beyond

    assert _refusal(_post(api, path, text))[0] == code
    assert not DailyMetric.objects.exists()


def test_openapi__upload__names_the_refusal_of_a_long_file(api: APIClient) -> None:
    described = api.get("/schema?format=json").json()["paths"]["/api/v1/events/csv/"]["post"]

    assert "too_many_rows" in described["description"]


@WAYS
def test_upload__rows_of_several_experiments__each_counts_as_a_hundred_rows(
    api: APIClient, path: str, settings: Settings
) -> None:
    settings.MAX_UPLOAD_ROWS = 110
    one, two, three = (make_experiment(name) for name in ("One", "Two", "Three"))
    let_in = HEADER + _rows(one, 9) + _rows(two, 1)

    for beyond in (HEADER + _rows(one, 10) + _rows(two, 1), let_in + _rows(three, 1)):
        code, detail = _refusal(_post(api, path, beyond))
        assert (code, "each but the first counts as 100 rows" in detail) == ("too_many_experiments", True)
        assert not DailyMetric.objects.exists()
    assert _post(api, path, let_in).json()["processed_rows"] == 10


@pytest.mark.parametrize(
    "row",
    ["{key},2025-08-31,control,10,11\n", "{key},2025-08-31,control,,\n", "{key},2025-08-31,nobody,x,1\n"],
    ids=["clicks above impressions", "blank", "no number"],
)
def test_upload__bad_rows_of_many_experiments__count_as_good_ones_do(
    api: APIClient, settings: Settings, row: str
) -> None:
    settings.MAX_UPLOAD_ROWS = 110
    text = HEADER + "".join(row.format(key=make_experiment(name).key) for name in ("One", "Two", "Three"))

    answer = _post(api, "/api/v1/events/csv/", text, on_error="skip", blank="skip")

    assert _refusal(answer)[0] == "too_many_experiments"


def test_upload__one_experiment_by_id_key_and_name__counts_once(api: APIClient, settings: Settings) -> None:
    settings.MAX_UPLOAD_ROWS = 110
    one = make_experiment("One two")
    rows = (
        f"{name},2025-08-{day},control,10,1\n" for day, name in enumerate((one.pk, one.key, one.name), 20)
    )

    assert _post(api, "/api/v1/events/csv/", HEADER + "".join(rows)).json()["processed_rows"] == 3


def test_upload__orders__keep_the_counts_that_came_while_they_were_read(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = make_running(reward="value_per_impression")
    day = DailyMetric.objects.latest("date").date

    def count_first(ids: Sequence[int]) -> None:
        lock_experiments(ids)
        DailyMetric.objects.filter(variant__name="control").update(impressions=20_000, clicks=1_400)

    monkeypatch.setattr("experiments.tables.importing.importer.lock_experiments", count_first)
    text = f"experiment_id,date,variant_name,value\n{experiment.key},{day},control,12.50\n"

    assert _post(api, "/api/v1/events/csv/", text).json()["processed_rows"] == 1

    stored = DailyMetric.objects.get(variant__name="control")
    assert (stored.impressions, stored.clicks, stored.conversions) == (20_000, 1_400, 1)


def test_import_events__more_rows_than_an_upload_has__reads_them(tmp_path: Path) -> None:
    file = tmp_path / "totals.csv"
    file.write_text(HEADER + _rows(make_experiment(), 2 * MOST))

    call_command("import_events", str(file), stdout=StringIO())

    assert DailyMetric.objects.count() == 2 * MOST
