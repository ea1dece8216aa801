"""Uploaded files: previewed, then recorded as the preview said."""

import datetime as dt
import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from experiments.models import CsvUpload, DailyMetric
from experiments.tables.uploads import MAX_UPLOAD_BYTES
from tests.dashboard.clients import client_of
from tests.dashboard.experiment.data_pages import (
    HEADER,
    UPLOAD,
    file_sent,
    stored_rows,
)
from tests.experiments.tables.workbooks import workbook
from tests.factory import TODAY, make_experiment, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


@pytest.fixture
def analyst() -> Client:
    return client_of("analyst")


def test_upload__previewed_then_recorded__as_the_preview_said(analyst: Client) -> None:
    experiment = make_running()
    before = stored_rows()
    text = (
        HEADER
        + f"{experiment.key},2025-09-01,control,10000,710,0\n{experiment.pk},2025-08-31,control,5,1,0\n"
    )

    shown = analyst.post(UPLOAD, file_sent(text), follow=True)
    token_url = shown.redirect_chain[0][0]
    assert (stored_rows(), dict(shown.context["preview"].tally)) == (before, {"changed": 1, "added": 1})

    page = analyst.post(token_url, follow=True).content.decode()
    assert "Recorded 2 rows. Here 1 added, 1 changed, 0 unchanged." in page
    assert page.count("Update allocation") == 2
    assert [row[2:4] for row in stored_rows()] == [(5, 1), (10000, 710), (10000, 950)]
    assert "has been recorded already" in analyst.post(token_url, follow=True).content.decode()


def test_preview__all_rows_unchanged__offers_nothing_to_record(analyst: Client) -> None:
    text = f"{HEADER}{make_running().key},2025-09-01,control,10000,700,0\n"

    page = analyst.post(UPLOAD, file_sent(text), follow=True).content.decode()

    assert "There is nothing to record: these rows hold what is recorded already." in page
    assert "Record these rows" not in page


@pytest.mark.parametrize(
    ("bad", "query"), [("2025-08-31,control,5,9,0", ""), ("2025-08-31,control,5,,0", "?blank=skip")]
)
def test_preview__others_unchanged_or_left_out__says_that_these_are_none(
    analyst: Client, bad: str, query: str
) -> None:
    key = make_running().key
    text = f"{HEADER}{key},2025-09-01,control,10000,700,0\n{key},{bad}\n"
    token_url = analyst.post(UPLOAD, file_sent(text), follow=True).redirect_chain[0][0]

    page = analyst.get(token_url + query).content.decode()

    said = (
        "There is nothing to record: the rows that are not refused or left out hold what is recorded already."
    )
    assert said in page
    assert "these rows hold" not in page
    assert "Record the good rows" not in page


def test_record__thousands_of_rows__are_written_as_in_the_preview(analyst: Client) -> None:
    key = make_running().key
    first = dt.date(2020, 1, 1)
    days = [(first + dt.timedelta(days=n)).isoformat() for n in range(1000)]
    good = "".join(f"{key},{day},control,10,1,0\n" for day in days)
    text = HEADER + good + "".join(f"{key},{day},variant_b,1,2,0\n" for day in days)
    token_url = analyst.post(UPLOAD, file_sent(text), follow=True).redirect_chain[0][0]

    page = analyst.post(token_url, {"skip": "1"}, follow=True).content.decode()

    assert (
        "Recorded 1,000 rows. Here 1,000 added, 0 changed, 0 unchanged. 1,000 refused rows were left out."
        in page
    )


@pytest.mark.parametrize(("encoding", "said"), [("cp1252", "Windows-1252"), ("utf-16-le", "UTF-16")])
def test_preview__encoding_was_guessed__is_named(analyst: Client, encoding: str, said: str) -> None:
    content = f"{HEADER}{make_running().key},2025-09-01,Botão,10000,700,0\n".encode(encoding)

    page = analyst.post(UPLOAD, {"file": SimpleUploadedFile("a.csv", content)}, follow=True)

    assert f"was read as {said}: look at accented letters." in page.content.decode()


def test_upload__bad_rows__are_listed_and_left_out_only_when_asked(analyst: Client) -> None:
    experiment = make_running()
    before = stored_rows()
    text = HEADER + f"{experiment.key},2025-08-31,control,5,9,0\n{experiment.key},2025-08-31,b,5,1,0\n"

    shown = analyst.post(UPLOAD, file_sent(text), follow=True)
    url, page = shown.redirect_chain[0][0], shown.content.decode()
    assert "Clicks (9) must not exceed impressions (5): count at most one for each impression" in page
    assert "New variants would be created" in page

    refused = analyst.post(url, follow=True).content.decode()
    assert (stored_rows(), "Nothing was recorded" in refused) == (before, True)

    done = analyst.post(url, {"skip": "1"}, follow=True).content.decode()
    assert "1 refused row was left out." in done
    assert (dt.date(2025, 8, 31), "b", 5, 1, 0) in stored_rows()


def test_preview__problem__leads_to_its_row_with_the_cell_marked(analyst: Client) -> None:
    experiment = make_running()
    good = f"{experiment.key},2025-08-31,control,5,1,0\n"
    text = f"{HEADER}{good}{experiment.key},31/08/2025,variant_b,5,9,0\n"

    page = analyst.post(UPLOAD, file_sent(text), follow=True).content.decode()

    row = page.partition('id="file-line-3"')[2].partition("</tr>")[0]
    assert 'href="#file-line-3"' in page
    assert re.findall(r"<td>\s*(.*?)\s*</td>", row) == [
        experiment.key, "<mark>31/08/2025</mark>", "variant_b", "5", "9", "0",
    ]  # fmt: skip
    assert 'id="file-line-2"' not in page


def test_upload__rows_of_another_experiment__are_recorded_only_when_asked_for(analyst: Client) -> None:
    experiment, other = make_running(), make_experiment("Other")
    text = HEADER + f"{experiment.key},2025-08-31,control,5,1,0\n{other.key},2025-08-31,control,5,1,0\n"
    recorded = other.variants.filter(daily_metrics__isnull=False)

    for sent, said, exists in (
        ({}, "1 row of another experiment was left out.", False),
        ({"others": "1"}, "2 rows", True),
    ):
        shown = analyst.post(UPLOAD, file_sent(text), follow=True)
        assert "Record these too" in shown.content.decode()
        page = analyst.post(shown.redirect_chain[0][0], sent, follow=True).content.decode()
        assert said in page
        assert recorded.exists() is exists


def test_preview__rows_of_many_experiments__names_the_first_ten(analyst: Client) -> None:
    make_running()
    others = [make_experiment(f"Other {n:02}") for n in range(12)]
    rows = "".join(f"{other.key},2025-08-31,control,5,1,0\n" for other in others)

    page = analyst.post(UPLOAD, file_sent(HEADER + rows), follow=True).content.decode()

    assert ("Other 09" in page, "Other 10" in page) == (True, False)
    assert "and 2 more" in page


def test_preview__rows_of_too_many_experiments__is_of_this_one_alone(analyst: Client, settings: Any) -> None:
    settings.MAX_UPLOAD_ROWS = 500
    experiment = make_running()
    keys = [experiment.key, *(make_experiment(f"Other {n}").key for n in range(8))]
    text = HEADER + "".join(f"{key},2025-08-31,control,5,1,0\n" for key in keys)

    shown = analyst.post(UPLOAD, file_sent(text), follow=True)
    recorded = analyst.post(shown.redirect_chain[0][0], {}, follow=True).content.decode()

    assert "Record these too" not in shown.content.decode()
    assert "8 rows of other experiments were left out." in recorded


def test_upload__rows_of_other_experiments_alone__are_recorded_only_by_a_tick(analyst: Client) -> None:
    make_running()
    other = make_experiment("Other")
    shown = analyst.post(UPLOAD, file_sent(f"{HEADER}{other.key},2025-08-31,control,5,1,0\n"), follow=True)
    box = re.search(r'<input[^>]*name="others"[^>]*>', shown.content.decode())
    address = shown.redirect_chain[0][0]

    without = analyst.post(address, {}, follow=True).content.decode()
    nothing = not other.variants.filter(daily_metrics__isnull=False).exists()
    analyst.post(address, {"others": "1"})

    assert box is not None
    assert "checked" not in box.group()
    assert "required" in box.group()
    assert "Nothing was recorded: every row is of another experiment. Tick the box to record them." in without
    assert nothing
    assert other.variants.filter(daily_metrics__isnull=False).exists()


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ({}, "This field is required."),
        (file_sent(""), "The submitted file is empty."),
        (file_sent("a,b\n1,2\n"), "no line names all the columns date, variant_name, impressions, clicks"),
        (file_sent(HEADER), "the file holds no row under its header"),
    ],
    ids=["none", "empty", "other columns", "no row"],
)
def test_upload__nothing_to_read__is_shown_beside_the_file(
    analyst: Client, file: dict[str, SimpleUploadedFile], said: str
) -> None:
    make_running()

    response = analyst.post(UPLOAD, file)

    assert said in response.context["form"].errors["file"][0]
    assert not CsvUpload.objects.exists()


def test_upload__larger_than_8_mb__is_refused(analyst: Client, settings: Any) -> None:
    settings.MAX_BODY_BYTES = 2 * MAX_UPLOAD_BYTES
    make_running()

    response = analyst.post(UPLOAD, file_sent(" " * (MAX_UPLOAD_BYTES + 1)))

    assert "At most 8 MB" in response.context["form"].errors["file"][0]


def test_upload__beyond_what_a_request_may_be__is_refused_by_a_page_with_the_fix(
    analyst: Client, settings: Settings
) -> None:
    settings.MAX_BODY_BYTES = 1024
    make_running()
    browser = {"Accept": "text/html,*/*;q=0.8", "Referer": f"http://testserver{UPLOAD}"}

    page = analyst.post(UPLOAD, file_sent(" " * 1025), headers=browser | {"Accept-Language": "pt-BR"})
    script = analyst.post(UPLOAD, file_sent(" " * 1025))
    call = analyst.post("/api/v1/events/csv/", file_sent(" " * 1025), headers=browser)

    assert [(r.status_code, r["Content-Type"]) for r in (page, script, call)] == [
        (413, "text/html; charset=utf-8"),
        (413, "application/problem+json"),
        (413, "application/problem+json"),
    ]
    text = page.content.decode()
    assert "No máximo 1 KB. Divida o arquivo" in text
    assert f'href="{UPLOAD}"' in text


@pytest.mark.parametrize(("most", "said"), [(2 * MAX_UPLOAD_BYTES, "8 MB"), (3 * 1024**2, "3 MB")])
def test_upload_page__files__may_be_as_large_as_both_a_page_and_a_request_take(
    analyst: Client, settings: Settings, most: int, said: str
) -> None:
    settings.MAX_BODY_BYTES = most
    make_running()

    file = analyst.get(UPLOAD).context["form"].fields["file"].widget.attrs

    assert file["data-most-bytes"] == min(most, MAX_UPLOAD_BYTES)
    assert file["data-problem"].startswith(f"At most {said}. Split the file")


@pytest.mark.parametrize("path", ["/accounts/login/", "/admin/login/", UPLOAD])
def test_form__too_large_and_no_upload__is_refused_without_a_word_of_files(
    analyst: Client, settings: Settings, path: str
) -> None:
    settings.MAX_BODY_BYTES = 2048

    page = analyst.post(
        path,
        "a" * 2049,
        content_type="application/x-www-form-urlencoded",
        headers={"Accept": "text/html"},
    )

    assert page.status_code == 413
    assert "A form may hold at most 2 KB. Shorten what it holds." in page.content.decode()


def test_upload__more_rows_than_a_request_may_bring__is_refused_with_the_fix(
    analyst: Client, settings: Settings
) -> None:
    experiment = make_running()
    settings.MAX_UPLOAD_ROWS = 2
    rows = [f"{experiment.key},2025-08-{day},control,5,1,0\n" for day in (29, 30, 31)]
    before = stored_rows()

    refused = analyst.post(UPLOAD, file_sent(HEADER + "".join(rows)))

    (said,) = refused.context["form"].errors["file"]
    assert said.startswith("the file has more than 2 rows")
    assert "split it by experiment or between days" in said
    assert "At most 2 rows." in refused.content.decode()
    assert (CsvUpload.objects.count(), stored_rows()) == (0, before)
    page = analyst.post(UPLOAD, file_sent(HEADER + "".join(rows[:2])), follow=True)
    analyst.post(page.redirect_chain[0][0])
    assert len(stored_rows()) == len(before) + 2


def test_upload__orders_or_a_workbook_beyond_the_bound__are_refused(
    analyst: Client, settings: Settings
) -> None:
    experiment = make_running()
    settings.MAX_UPLOAD_ROWS = 2
    orders = "experiment_id,date,variant_name,value\n" + f"{experiment.key},2025-08-31,control,12.5\n" * 3
    rows = [[experiment.key, f"2025-08-{day}", "control", 5, 1, 0] for day in (29, 30, 31)]
    sheet = workbook({"A": [HEADER.strip().split(","), *rows]})

    for content in (orders.encode(), sheet):
        page = analyst.post(UPLOAD, {"file": SimpleUploadedFile("file", content)})
        (said,) = page.context["form"].errors["file"]
        assert said.startswith(("the file has more than 2 rows", "the workbook is too large"))
    assert not CsvUpload.objects.exists()


def test_preview_and_record__the_bound_was_lowered_meanwhile__are_refused(
    analyst: Client, settings: Settings
) -> None:
    text = HEADER + "".join(f"{make_running().key},2025-08-{day},control,5,1,0\n" for day in (30, 31))
    before = stored_rows()
    token_url = analyst.post(UPLOAD, file_sent(text)).headers["Location"]
    settings.MAX_UPLOAD_ROWS = 1

    for page in (analyst.get(token_url, follow=True), analyst.post(token_url, follow=True)):
        assert "the file has more than 1 rows" in page.content.decode()
    assert stored_rows() == before


def test_preview__of_another_person__is_not_found(analyst: Client) -> None:
    experiment = make_running()
    text = HEADER + f"{experiment.key},2025-08-31,control,5,1,0\n"
    url = analyst.post(UPLOAD, file_sent(text))["Location"]

    page = client_of("admin").post(url, follow=True).content.decode()

    assert "Upload it again." in page
    assert len(stored_rows()) == 2


def test_preview__many_rows__as_many_queries_as_a_few(
    analyst: Client, django_assert_max_num_queries: Any
) -> None:
    experiment = make_running()
    days = [TODAY - dt.timedelta(days=n) for n in range(200)]
    text = HEADER + "".join(f"{experiment.key},{day},control,5,1,0\n" for day in days)
    url = analyst.post(UPLOAD, file_sent(text))["Location"]

    # the import itself, done and taken back, comes to twelve
    with django_assert_max_num_queries(12 + 12):
        assert analyst.get(url).context["preview"].rows == 200


@pytest.mark.django_db(transaction=True)
def test_preview__outside_of_any_transaction__imports_and_takes_back(today: dt.date) -> None:
    """Pages are read in a transaction that may not write; this one tries a write."""
    get_user_model().objects.create_superuser("someone", "someone@example.com", "secret")
    client = Client()
    client.force_login(get_user_model().objects.get())
    experiment = make_running()
    text = f"{HEADER}{experiment.key},{TODAY},control,5,1,0\n"
    url = client.post(UPLOAD, file_sent(text))["Location"]

    assert client.get(url).context["preview"].rows == 1
    assert DailyMetric.objects.filter(impressions=5).count() == 0


def test_preview__blanks_and_repetitions__are_recorded_as_chosen(analyst: Client) -> None:
    make_running()
    rows = "2025-08-31,control,5,1,\n2025-08-30,control,5,1,0\n2025-08-30,control,6,1,0\n"
    text = HEADER.replace("experiment_id,", "") + rows

    asked = analyst.post(UPLOAD, file_sent(text), follow=True)
    url = asked.redirect_chain[-1][0]
    assert [field.name for field in asked.context["doubts"]] == ["blank", "repeated"]
    assert asked.context["preview"].report.processed_rows == 0

    shown = analyst.get(url, {"blank": "zero", "repeated": "sum"})
    assert shown.context["preview"].report.processed_rows == 3
    analyst.post(url, {"blank": "zero", "repeated": "sum"})
    assert sorted(row[2:4] for row in stored_rows()) == [(5, 1), (11, 2), (10000, 700), (10000, 950)]
