"""Names like formulas: a spreadsheet runs none of them in any of our files, and the import reads them back."""

import csv
import datetime as dt
import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from experiments.models import DailyMetric, Experiment, Variant
from experiments.tables.importing.row_kinds import CsvRow
from experiments.tables.importing.rows import COLUMNS, DAILY, RowReader, as_cell
from experiments.tables.reading.header import find_header
from experiments.text import is_name
from tests.factory import counts, make_experiment, make_table, record
from tests.security.callers import person
from tests.security.names import FORMULAS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

# A spreadsheet ignores blanks before a formula, and takes full-width signs as well.
_FORMULA = re.compile(r"\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
# Every file that holds names; the first three are of one experiment.
FILES = {
    "the dashboard's download": "/dashboard/experiments/formulas/data/daily-metrics.csv",
    "the dashboard's template": "/dashboard/experiments/formulas/data/template.csv",
    "the API": "/api/v1/experiments/formulas/metrics/?format=csv",
    "the admin": "/admin/experiments/dailymetric/export/",
}


@pytest.fixture
def formulas() -> Experiment:
    experiment = make_experiment("=Formulas")
    record(experiment, *(counts(name, 100, 10) for name in FORMULAS))
    return experiment


@pytest.mark.usefixtures("formulas")
@pytest.mark.parametrize("where", FILES)
def test_file__names_like_formulas__are_text_whichever_sign_ends_a_cell(where: str) -> None:
    file = _file(person("admin"), FILES[where])

    assert len(list(_cells(file, ","))) == 6 * (1 + len(FORMULAS))
    assert [cell for sign in ",;" for cell in _cells(file, sign) if _FORMULA.match(cell)] == []


@pytest.mark.parametrize("where", FILES)
def test_file__imported_again__brings_the_names_back(where: str, formulas: Experiment) -> None:
    client = person("admin")
    file = _file(client, FILES[where])
    DailyMetric.objects.all().delete()

    # the template's counts are blank
    upload = {"file": SimpleUploadedFile("x.csv", file.encode()), "blank": "zero"}
    answer = client.post("/api/v1/events/csv/", upload).json()

    assert (answer["processed_rows"], answer["issues"]) == (len(FORMULAS), [])
    assert [*Variant.objects.order_by("id").values_list("name", flat=True)] == list(FORMULAS)


def test_admin_action__names_like_formulas__are_text(formulas: Experiment) -> None:
    fields = {"action": "export_csv", "_selected_action": [formulas.pk]}
    response: Any = person("admin").post("/admin/experiments/experiment/", fields)
    file = b"".join(response.streaming_content).decode()

    assert [cell for cell in _cells(file, ";") if _FORMULA.match(cell)] == []


@pytest.mark.parametrize("name", ["\t=1", "\r=1", "\n=1", "=1\t", "a\r\n=1"])
def test_name__with_a_tab_or_a_line_end__has_none_once_it_is_stored(name: str, formulas: Experiment) -> None:
    row = {
        "experiment_id": formulas.pk,
        "date": "2025-09-01",
        "variant_name": name,
        "impressions": 1,
        "clicks": 0,
    }

    person("analyst").post("/events", row, content_type="application/json")

    assert [n for n in Variant.objects.values_list("name", flat=True) if re.search(r"[\t\r\n]", n)] == []


@pytest.mark.database_free
@given(name=st.text(min_size=1, max_size=30).filter(is_name).map(str.strip).filter(bool))
def test_cell__any_name__is_text_and_comes_back(name: str) -> None:
    file = io.StringIO()
    csv.writer(file).writerows([COLUMNS, ("1", dt.date(2025, 9, 1), as_cell(name), 1, 0, 0, 0, 0)])

    [row] = RowReader(find_header(make_table(file.getvalue()), DAILY)).rows()

    assert isinstance(row, CsvRow)
    assert row.counts.variant_name == name
    assert not _FORMULA.match(as_cell(name))


def _file(client: Client, path: str) -> str:
    response: Any = client.get(path)
    assert response.status_code == 200
    assert "attachment" in response["Content-Disposition"]
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return str(content.decode())


def _cells(file: str, sign: str) -> Iterator[str]:
    """The cells of a file as a spreadsheet reads it that splits at this sign."""
    for row in csv.reader(io.StringIO(file, newline=""), delimiter=sign):
        yield from row
