"""Daily data: read, edited by hand, loaded from a CSV after a look at what it would change."""

import datetime as dt
import json
import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import translation

from dashboard.settings.fields import setting_field
from experiments.metrics import DailyCounts
from experiments.models import CsvUpload, DailyMetric, Experiment, Status, Variant
from experiments.services import archive_experiment, change_status
from experiments.settings_schema import ALGORITHM_SETTINGS
from experiments.tables.mapping import remember_columns, remembered_columns
from experiments.tables.uploads import MAX_UPLOAD_BYTES
from tests.dashboard.clients import client_of
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record

ONCE = ": count at most one for each impression, on the impression's day"
LEFT = ": give what is left of the day's total"
DIGITS = ": check its digits and separators"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

ONE = "/dashboard/experiments/button-colour/"
DATA = f"{ONE}data/"
DAY = f"{DATA}day/"
EDIT = f"{DAY}?date=2025-09-01"
UPLOAD = f"{DATA}upload/"
HEADER = "experiment_id,date,variant_name,impressions,clicks,conversions\n"


@pytest.fixture
def analyst() -> Client:
    return client_of("analyst")


def _day(date: str = "2025-09-01", **by_variant: tuple[object, object, object]) -> dict[str, str]:
    """Build what a day's form sends, for variants by name."""
    sent = {"date": date}
    for name, values in by_variant.items():
        pk = Variant.objects.get(name=name).pk
        for field, value in zip(("impressions", "clicks", "conversions"), values, strict=True):
            sent[f"{field}-{pk}"] = str(value)
    return sent


def _stored() -> list[tuple[Any, ...]]:
    fields = ("date", "variant__name", "impressions", "clicks", "conversions")
    return sorted(DailyMetric.objects.values_list(*fields))


def _errors(response: Any) -> list[tuple[str, list[str]]]:
    return [(name.split("-")[0], list(errors)) for name, errors in response.context["form"].errors.items()]


def _file(text: str, name: str = "totals.csv") -> dict[str, SimpleUploadedFile]:
    return {"file": SimpleUploadedFile(name, text.encode(), "text/csv")}


def test_data__days__newest_first_with_the_rate_of_the_reward(analyst: Client) -> None:
    experiment = make_running(reward="conversion_rate")
    record(experiment, counts("control", 1000, 100, 25, date=dt.date(2025, 8, 30)))

    days = analyst.get(DATA).context["days"]

    told = [(day.date.day, [(line.variant.name, line.rate) for line in day.lines]) for day in days]
    assert told == [(1, [("control", 0.0), ("variant_b", 0.0)]), (30, [("control", 0.025)])]


def test_data__many_days__come_in_pages(analyst: Client) -> None:
    experiment = make_running()
    record(experiment, *(counts("control", 9, 1, date=TODAY - dt.timedelta(days=n)) for n in range(30)))

    last = analyst.get(f"{DATA}?page=3")

    assert [day.date for day in last.context["days"]] == [TODAY - dt.timedelta(days=n) for n in (28, 29)]
    assert f"{DAY}?date=2025-08-03&amp;page=3#day-2025-08-03" in last.content.decode()


def test_day__edited__is_saved_told_and_offered_to_the_split(analyst: Client) -> None:
    make_running()

    sent = _day(control=(10000, 710, 5), variant_b=(10000, 950, 0))
    response = analyst.post(f"{EDIT}&page=1", sent, follow=True)

    assert _stored() == [(TODAY, "control", 10000, 710, 5), (TODAY, "variant_b", 10000, 950, 0)]
    page = response.content.decode()
    assert "Saved 1 Sep 2025: control clicks 700 → 710, conversions 0 → 5." in page
    assert page.count("Update allocation") == 2
    assert response.redirect_chain == [(f"{DATA}?page=1", 302)]


def test_day__changed_by_somebody_else_meanwhile__is_saved_only_when_sent_again(analyst: Client) -> None:
    experiment = make_running()
    seen = analyst.get(EDIT).context["form"]["seen"].value()
    record(experiment, counts("control", 20000, 1400))
    sent = _day(control=(10000, 710, 5), variant_b=(10000, 950, 0))

    refused = analyst.post(EDIT, sent | {"seen": seen})
    kept = _stored()
    again = analyst.post(EDIT, sent | {"seen": refused.context["form"]["seen"].value()})

    assert "It now holds: control 20000 / 1400 / 0; variant_b 10000 / 950 / 0." in refused.content.decode()
    assert kept[0] == (TODAY, "control", 20000, 1400, 0)
    assert (again.status_code, _stored()[0]) == (302, (TODAY, "control", 10000, 710, 5))


@pytest.mark.parametrize("seen", ["{", "[]", "3"])
def test_day__what_it_showed_is_garbled__is_saved_as_it_is_sent(analyst: Client, seen: str) -> None:
    make_running()

    sent = _day(control=(10000, 710, 5), variant_b=(10000, 950, 0))

    assert analyst.post(EDIT, sent | {"seen": seen}).status_code == 302
    assert _stored()[0] == (TODAY, "control", 10000, 710, 5)


def test_day__saved_unchanged__says_so(analyst: Client) -> None:
    make_running()

    sent = _day(control=(10000, 700, 0), variant_b=(10000, 950, ""))
    page = analyst.post(EDIT, sent, follow=True).content.decode()

    assert "Nothing on 1 Sep 2025 has changed." in page
    # the button that every running experiment has, and none in the message
    assert page.count("Update allocation") == 1


@pytest.mark.parametrize(
    ("control", "errors"),
    [
        (
            (100, 200, 0),
            [
                (
                    "clicks",
                    ["clicks (200) must not exceed impressions (100)" + ONCE],
                )
            ],
        ),
        (
            (100, 20, 101),
            [
                (
                    "conversions",
                    ["conversions (101) must not exceed impressions (100)" + ONCE],
                )
            ],
        ),
        ((-1, 0, 0), [("impressions", ["Must be from 0 to 1,000,000,000,000"])]),
        ((10**12 + 1, 0, 0), [("impressions", ["Must be from 0 to 1,000,000,000,000"])]),
        (("1.5", 0, 0), [("impressions", ["'1.5' is not a whole number"])]),
        (
            ("9" * 5000, 0, 0),
            [("impressions", [f"'{'9' * 40}…' is not a number; write it as 1234"])],
        ),
        (
            ("", "", ""),
            [(name, ["Give a number; 0 if there were none."]) for name in ("impressions", "clicks")],
        ),
    ],
)
def test_day__a_bad_number__is_told_beside_it_and_nothing_is_written(
    analyst: Client, control: tuple[object, object, object], errors: list[tuple[str, list[str]]]
) -> None:
    make_running()
    before = _stored()

    response = analyst.post(EDIT, _day(control=control, variant_b=(10000, 951, 0)))

    assert _errors(response) == errors
    assert _stored() == before
    assert 'value="951"' in response.content.decode()


def test_day__experiment_with_values__shows_and_takes_them(analyst: Client) -> None:
    experiment = make_running()
    assert "Value" not in analyst.get(DATA).content.decode()
    assert "value_sum" not in analyst.get(EDIT).content.decode()
    Experiment.objects.filter(pk=experiment.pk).update(reward="value_per_impression")

    numbers = _day(control=(10000, 700, 2), variant_b=(10000, 950, 0))
    control = Variant.objects.get(name="control").pk
    blank = analyst.post(EDIT, numbers)
    assert {message for _field, (message,) in _errors(blank)} == {"Enter an amount (0 if none)."}
    variant_b = Variant.objects.get(name="variant_b").pk
    numbers |= {f"value_sum-{variant_b}": "0"}
    refused = analyst.post(EDIT, {**numbers, f"value_sum-{control}": "1042.50"})
    values = {f"value_sum-{control}": "1042.50", f"value_squares-{control}": "1000900.0"}
    page = analyst.post(EDIT, {**numbers, **values}, follow=True).content.decode()

    ((field, (message,)),) = _errors(refused)
    assert (field, message[:45]) == ("value_squares", "the sum of squared values is needed beside th")
    row = DailyMetric.objects.get(variant=control)
    assert (row.value_sum, row.value_squares) == (Decimal("1042.5"), 1000900.0)
    assert "value 0.00 → 1,042.50" in page
    assert re.search(r'<td class="num"\s+data-label="Value">1,042.50</td>', page)
    assert re.search(r'<td class="num"\s+data-label="Rate">0.10</td>', page)
    shown = analyst.get(EDIT).content.decode()
    assert 'value="1042.5"' in shown


def test_day__values_changed_meanwhile__are_not_overwritten(analyst: Client) -> None:
    experiment = make_running(reward="value_per_impression")
    seen = analyst.get(EDIT).context["form"]["seen"].value()
    valued = DailyCounts(TODAY, "control", 10000, 700, 1, Decimal("5"), 25.0)
    record(experiment, valued)

    values = {f"value_sum-{variant.pk}": "0" for variant in experiment.variants.all()}
    sent = {**_day(control=(10000, 700, 0), variant_b=(10000, 950, 0)), **values, "seen": seen}

    response = analyst.post(EDIT, sent)

    assert "Somebody changed this day" in str(response.context["form"].errors)
    assert DailyMetric.objects.get(variant__name="control").value_sum == 5


def test_day__new__takes_the_variants_that_are_given(analyst: Client) -> None:
    make_running()

    sent = _day("2025-08-31", control=(50, 5, ""), variant_b=("", "", ""))
    page = analyst.post(DAY, sent, follow=True).content.decode()

    assert _stored()[0] == (dt.date(2025, 8, 31), "control", 50, 5, 0)
    assert len(_stored()) == 3
    assert "Saved 31 Aug 2025: control added." in page


@pytest.mark.parametrize(
    ("date", "error"),
    [
        ("", "This field is required."),
        ("31.08.2025", "Enter a valid date."),
        ("2025-09-03", "3 Sep 2025 lies in the future; today is 1 Sep 2025"),
        ("1999-12-31", "31 Dec 1999 is before 1 Jan 2000"),
        ("2025-09-01", "There is data for 1 Sep 2025 already."),
    ],
)
def test_day__new_with_a_day_that_cannot_be__is_refused(analyst: Client, date: str, error: str) -> None:
    make_running()
    before = _stored()

    response = analyst.post(DAY, _day(date, control=(1, 0, 0), variant_b=(1, 0, 0)))

    assert _errors(response) == [("date", [error])]
    assert _stored() == before


def test_day__new_without_any_number__is_refused(analyst: Client) -> None:
    make_running()

    response = analyst.post(DAY, _day("2025-08-31"))

    assert _errors(response) == [("__all__", ["Give the counts of at least one variant."])]


def test_day__new__suggests_the_day_after_the_latest(analyst: Client) -> None:
    record(make_experiment(), counts("control", 1, 0, date=TODAY - dt.timedelta(days=3)))

    form = analyst.get(DAY).context["form"]

    assert form["date"].value() == TODAY - dt.timedelta(days=2)


def test_day__retired_variant__is_asked_for_where_it_has_data(analyst: Client) -> None:
    make_running()
    Variant.objects.filter(name="variant_b").update(is_active=False)

    edited, new = (analyst.get(url).context["form"] for url in (EDIT, DAY))

    assert [variant.name for variant, _fields in edited.rows()] == ["control", "variant_b"]
    assert [variant.name for variant, _fields in new.rows()] == ["control"]


def test_day__not_a_date__is_404(analyst: Client) -> None:
    make_running()

    assert analyst.get(f"{DAY}?date=yesterday").status_code == 404


def test_upload__previewed_then_recorded__as_the_preview_said(analyst: Client) -> None:
    experiment = make_running()
    before = _stored()
    text = (
        HEADER
        + f"{experiment.key},2025-09-01,control,10000,710,0\n{experiment.pk},2025-08-31,control,5,1,0\n"
    )

    shown = analyst.post(UPLOAD, _file(text), follow=True)
    token_url = shown.redirect_chain[0][0]
    assert (_stored(), dict(shown.context["preview"].tally)) == (before, {"changed": 1, "added": 1})

    page = analyst.post(token_url, follow=True).content.decode()
    assert "Recorded 2 rows. Here 1 added, 1 changed, 0 unchanged." in page
    assert page.count("Update allocation") == 2
    assert [row[2:4] for row in _stored()] == [(5, 1), (10000, 710), (10000, 950)]
    assert "has been recorded already" in analyst.post(token_url, follow=True).content.decode()


def test_upload__bad_rows__are_listed_and_left_out_only_when_told(analyst: Client) -> None:
    experiment = make_running()
    before = _stored()
    text = HEADER + f"{experiment.key},2025-08-31,control,5,9,0\n{experiment.key},2025-08-31,b,5,1,0\n"

    shown = analyst.post(UPLOAD, _file(text), follow=True)
    url, page = shown.redirect_chain[0][0], shown.content.decode()
    assert "Clicks (9) must not exceed impressions (5): count at most one for each impression" in page
    assert "New variants would be created" in page

    refused = analyst.post(url, follow=True).content.decode()
    assert (_stored(), "Nothing was recorded" in refused) == (before, True)

    done = analyst.post(url, {"skip": "1"}, follow=True).content.decode()
    assert "1 refused row was left out." in done
    assert (dt.date(2025, 8, 31), "b", 5, 1, 0) in _stored()


def test_upload__rows_of_another_experiment__are_recorded_only_when_asked_for(analyst: Client) -> None:
    experiment, other = make_running(), make_experiment("Other")
    text = HEADER + f"{experiment.key},2025-08-31,control,5,1,0\n{other.key},2025-08-31,control,5,1,0\n"
    recorded = other.variants.filter(daily_metrics__isnull=False)

    for sent, said, exists in (
        ({}, "1 row of another experiment was left out.", False),
        ({"others": "1"}, "2 rows", True),
    ):
        shown = analyst.post(UPLOAD, _file(text), follow=True)
        assert "Record these too" in shown.content.decode()
        page = analyst.post(shown.redirect_chain[0][0], sent, follow=True).content.decode()
        assert said in page
        assert recorded.exists() is exists


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ({}, "This field is required."),
        (_file(""), "The submitted file is empty."),
        (_file("a,b\n1,2\n"), "no line names all the columns date, variant_name, impressions, clicks"),
        (_file(HEADER), "the file holds no row under its header"),
    ],
    ids=["none", "empty", "other columns", "no row"],
)
def test_upload__nothing_to_read__is_told_beside_the_file(
    analyst: Client, file: dict[str, SimpleUploadedFile], said: str
) -> None:
    make_running()

    response = analyst.post(UPLOAD, file)

    assert said in response.context["form"].errors["file"][0]
    assert not CsvUpload.objects.exists()


def test_upload__larger_than_8_mb__is_refused(analyst: Client, settings: Any) -> None:
    settings.MAX_BODY_BYTES = 2 * MAX_UPLOAD_BYTES
    make_running()

    response = analyst.post(UPLOAD, _file(" " * (MAX_UPLOAD_BYTES + 1)))

    assert "At most 8 MB" in response.context["form"].errors["file"][0]


def test_preview__of_another_person__is_not_found(analyst: Client) -> None:
    experiment = make_running()
    text = HEADER + f"{experiment.key},2025-08-31,control,5,1,0\n"
    url = analyst.post(UPLOAD, _file(text))["Location"]

    page = client_of("admin").post(url, follow=True).content.decode()

    assert "Upload it again." in page
    assert len(_stored()) == 2


def test_download__and_back__changes_nothing(analyst: Client) -> None:
    experiment = make_running()
    record(experiment, counts("=1+1", 7, 3))
    response = analyst.get(f"{DATA}daily-metrics.csv")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]  # streamed

    shown = analyst.post(UPLOAD, _file(text), follow=True)

    assert "'=1+1" in text
    assert dict(shown.context["preview"].tally) == {"same": 3}


def test_template__of_the_experiment__names_its_active_variants(analyst: Client) -> None:
    experiment = make_running()
    Variant.objects.filter(name="variant_b").update(is_active=False)

    response = analyst.get(f"{DATA}template.csv")

    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]  # streamed
    assert text.splitlines() == [HEADER.strip(), f"{experiment.key},2025-09-01,control,,,"]


@pytest.mark.parametrize("state", ["draft", "completed", "archived"])
def test_data__closed__says_why_and_refuses(analyst: Client, state: str) -> None:
    experiment = make_running()
    if state == "archived":
        change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)
        archive_experiment(experiment_id=experiment.pk, now=NOW)
    else:
        Experiment.objects.update(status=state)
    before = _stored()

    page = analyst.get(DATA).content.decode()
    posted = analyst.post(EDIT, _day(control=(1, 1, 1)), follow=True).content.decode()

    said = {
        "draft": "This experiment is a draft.",
        "archived": "Archived. Restore it to make changes.",
        "completed": "Ended: data, variants and settings are locked.",
    }[state]
    assert said in page
    assert DAY not in page
    assert said in posted
    assert _stored() == before


@pytest.mark.parametrize("path", ["day/", "day/?date=2025-09-01", "upload/", "upload/x/"])
def test_data__viewer__looks_and_is_refused_to_change(path: str) -> None:
    make_running()
    viewer = client_of("viewer")

    page = viewer.get(DATA).content.decode()

    assert "daily-metrics.csv" in page
    # the forms of every page, the language and logging out, and the filter
    assert (DAY in page, UPLOAD in page, page.count("<form")) == (False, False, 3)
    assert viewer.get(f"{DATA}{path}").status_code == 403
    assert viewer.post(f"{DATA}{path}").status_code == 403


@pytest.mark.parametrize("path", ["", "day/", "day/?date=2025-09-01", "upload/"])
def test_data__page__at_most_12_queries(
    analyst: Client, path: str, django_assert_max_num_queries: Any
) -> None:
    experiment = make_running()
    allocate(experiment)
    record(experiment, *(counts("control", 9, 1, date=TODAY - dt.timedelta(days=n)) for n in range(1, 30)))

    with django_assert_max_num_queries(12):
        assert analyst.get(f"{DATA}{path}").status_code == 200


@pytest.mark.parametrize("path", ["day/?date=2025-09-01", "upload/"])
def test_data__without_its_token__is_refused(path: str) -> None:
    make_running()

    assert Client(enforce_csrf_checks=True).post(f"{DATA}{path}", {}).status_code == 403


def test_preview__many_rows__as_many_queries_as_a_few(
    analyst: Client, django_assert_max_num_queries: Any
) -> None:
    experiment = make_running()
    days = [TODAY - dt.timedelta(days=n) for n in range(200)]
    text = HEADER + "".join(f"{experiment.key},{day},control,5,1,0\n" for day in days)
    url = analyst.post(UPLOAD, _file(text))["Location"]

    # the import itself, done and taken back, comes to eleven
    with django_assert_max_num_queries(12 + 11):
        assert analyst.get(url).context["preview"].rows == 200


@pytest.mark.django_db(transaction=True)
def test_preview__outside_of_any_transaction__imports_and_takes_back(today: dt.date) -> None:
    """Pages are read in a transaction that may not write; this one tries a write."""
    get_user_model().objects.create_superuser("someone", "someone@example.com", "secret")
    client = Client()
    client.force_login(get_user_model().objects.get())
    experiment = make_running()
    url = client.post(UPLOAD, _file(f"{HEADER}{experiment.key},{TODAY},control,5,1,0\n"))["Location"]

    assert client.get(url).context["preview"].rows == 1
    assert DailyMetric.objects.filter(impressions=5).count() == 0


EXPORT = "Report\nWhen,Placement,Shown,Clicks\n2025-08-31,control,5,1\n2025-08-30,control,7,1\n"
ANSWER = {"column-0": "date", "column-1": "variant_name", "column-2": "impressions", "column-3": "clicks"}


def test_upload__unknown_columns__are_asked_for_and_remembered(analyst: Client) -> None:
    make_running()

    asked = analyst.post(UPLOAD, _file(EXPORT), follow=True)
    url, page = asked.redirect_chain[-1][0], asked.content.decode()
    assert "lacks: date, variant_name, impressions" in page
    assert "2025-08-31" in page
    assert [field.initial for field, _cells in asked.context["form"].rows()] == ["", "", "", "clicks"]

    shown = analyst.post(url, ANSWER, follow=True)
    analyst.post(shown.redirect_chain[-1][0])
    again = analyst.post(UPLOAD, _file(EXPORT), follow=True)
    assert [dict(page.context["preview"].tally) for page in (shown, again)] == [{"added": 2}, {"same": 2}]


def test_upload__columns_answered_but_not_recorded__are_asked_for_again(analyst: Client) -> None:
    experiment = make_running()
    url = analyst.post(UPLOAD, _file(EXPORT), follow=True).redirect_chain[-1][0]

    assert analyst.post(url, ANSWER, follow=True).context["preview"].rows == 2

    assert remembered_columns(experiment) == {}
    assert "/columns/" in analyst.post(UPLOAD, _file(EXPORT), follow=True).redirect_chain[-1][0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"column-0": ""}, "Say which column is: Day."),
        ({"column-2": "clicks"}, "Only one column can be: Clicks."),
        ({"column-2": "rubbish"}, "Say which column is: Impressions."),
    ],
)
def test_columns__answer_that_is_not_enough__is_asked_again(
    analyst: Client, change: dict[str, str], said: str
) -> None:
    make_running()
    url = analyst.post(UPLOAD, _file(EXPORT), follow=True).redirect_chain[-1][0]

    page = analyst.post(url, {**ANSWER, **change})

    assert said in page.content.decode()
    assert page.status_code == 200


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (
            "When,Placement,Views,Views",
            "Several columns have the same name; rename in the file: Views.",
        ),
        (
            "When,Placement,€,Taps",
            "A name without a letter or digit cannot be remembered; rename in the file: €.",
        ),
    ],
)
def test_columns__header_that_cannot_be_known_again__is_refused_with_the_fix(
    analyst: Client, header: str, said: str
) -> None:
    make_running()
    text = EXPORT.replace("When,Placement,Shown,Clicks", header)
    url = analyst.post(UPLOAD, _file(text), follow=True).redirect_chain[-1][0]

    assert said in analyst.post(url, ANSWER).content.decode()


def test_columns__a_long_header__is_remembered(analyst: Client) -> None:
    make_running()
    text = EXPORT.replace("Shown", "Shown" + "x" * 250)
    url = analyst.post(UPLOAD, _file(text), follow=True).redirect_chain[-1][0]

    assert analyst.post(url, ANSWER, follow=True).context["preview"].rows == 2


def test_columns__answered_twice__the_later_answer_is_remembered() -> None:
    experiment = make_running()

    remember_columns(experiment, {"Ad": "variant_name", "Cost": ""})
    remember_columns(experiment, {"Ad": ""})

    assert remembered_columns(experiment) == {"ad": "", "cost": ""}


@pytest.mark.parametrize("header", ["a,", "When,Placement,Shown,Clicks,", "Day,Variant,Impr.,Clicks,"])
def test_upload__very_many_columns__are_refused_before_anybody_is_asked(analyst: Client, header: str) -> None:
    make_running()
    text = header + ",".join(f"c{n}" for n in range(300)) + "\n2025-08-31,control,5,1\n"

    page = analyst.post(UPLOAD, _file(text)).content.decode()

    assert "columns, the most are 200; remove those not needed" in page


def test_preview__blanks_and_repetitions__are_recorded_as_chosen(analyst: Client) -> None:
    make_running()
    rows = "2025-08-31,control,5,1,\n2025-08-30,control,5,1,0\n2025-08-30,control,6,1,0\n"
    text = HEADER.replace("experiment_id,", "") + rows

    asked = analyst.post(UPLOAD, _file(text), follow=True)
    url = asked.redirect_chain[-1][0]
    assert [field.name for field in asked.context["doubts"]] == ["blank", "repeated"]
    assert asked.context["preview"].report.processed_rows == 0

    shown = analyst.get(url, {"blank": "zero", "repeated": "sum"})
    assert shown.context["preview"].report.processed_rows == 3
    analyst.post(url, {"blank": "zero", "repeated": "sum"})
    assert sorted(row[2:4] for row in _stored()) == [(5, 1), (11, 2), (10000, 700), (10000, 950)]


@pytest.mark.parametrize(("language", "impressions"), [("pt-br", 10000), ("en", None)])
def test_day__thousands_with_a_point__are_read_in_the_pages_language(
    analyst: Client, language: str, impressions: int | None
) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 1, 1, date=TODAY - dt.timedelta(days=9)))

    url = f"/dashboard/experiments/{experiment.key}/data/day/"
    pk = experiment.variants.get().pk
    typed = {
        "date": "2025-08-31",
        "seen": "",
        f"impressions-{pk}": "10.000",
        f"clicks-{pk}": "1.000",
        f"conversions-{pk}": "",
    }
    response = analyst.post(url, typed, headers={"accept-language": language})

    stored = DailyMetric.objects.filter(date="2025-08-31").values_list("impressions", "clicks")
    assert list(stored) == ([(10000, 1000)] if impressions else [])
    if impressions is None:
        assert "can be read as 10000 or as 10" in response.content.decode().replace("&#x27;", "'")


def test_settings__thousands_with_a_point__are_read_in_the_pages_language() -> None:
    field = setting_field(ALGORITHM_SETTINGS["min_impressions"])

    with translation.override("pt-br"):
        assert field.clean("10.000") == 10000
    with translation.override("en"), pytest.raises(ValidationError):
        field.clean("10.000")


def test_upload__single_orders__columns_named_by_a_person__show_what_changes(analyst: Client) -> None:
    make_running(value_cap=Decimal(100), currency="EUR")
    orders = "When,Variant,Revenue\n2025-09-01 14:03,control,12.50\n2025-09-01,control,300\n"
    url = analyst.post(UPLOAD, _file(orders), follow=True).redirect_chain[-1][0]
    answer = {"column-0": "date", "column-1": "variant_name", "column-2": "value"}

    shown = analyst.post(url, answer, follow=True)

    page = shown.content.decode()
    assert "Each line is read as a single order." in page
    assert "1 order is above the experiment&#x27;s value cap and counts as the cap." in page
    assert "<del>0.00</del> <ins>112.50</ins>" in page
    done = analyst.post(shown.redirect_chain[-1][0], follow=True).content.decode()
    assert "Recorded 2 orders. Here 0 added, 1 changed, 0 unchanged. 1 order is above" in done
    row = DailyMetric.objects.get(variant__name="control")
    assert (row.impressions, row.conversions, row.value_sum) == (10000, 2, Decimal("112.5"))
    told = json.loads(Experiment.history.latest().history_change_reason)
    assert told == {"event": "data.uploaded", "file": "totals.csv", "orders": 2, "capped": 1}


def test_columns__value_of_orders_beside_counts__is_refused(analyst: Client) -> None:
    make_running()
    orders = "When,Variant,Revenue,Shown\n2025-09-01,control,12.50,100\n"
    url = analyst.post(UPLOAD, _file(orders), follow=True).redirect_chain[-1][0]
    answer = {"column-0": "date", "column-1": "variant_name", "column-2": "value", "column-3": "impressions"}

    page = analyst.post(url, answer).content.decode()

    assert "Beside the value of single orders these are not needed: Impressions." in page
