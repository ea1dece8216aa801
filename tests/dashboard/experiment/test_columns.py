"""Uploaded files whose columns a person has to name."""

import json
import re
from decimal import Decimal

import pytest
from django.test import Client

from experiments.models import DailyMetric, Experiment
from experiments.tables.mapping import remember_columns, remembered_columns
from tests.dashboard.clients import client_of
from tests.dashboard.experiment.data_pages import DATA, ONE, UPLOAD, file_sent
from tests.factory import make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


@pytest.fixture
def analyst() -> Client:
    return client_of("analyst")


EXPORT = "Report\nWhen,Placement,Shown,Clicks\n2025-08-31,control,5,1\n2025-08-30,control,7,1\n"
ANSWER = {"column-0": "date", "column-1": "variant_name", "column-2": "impressions", "column-3": "clicks"}


def test_upload__unknown_columns__are_asked_for_and_remembered(analyst: Client) -> None:
    make_running()

    asked = analyst.post(UPLOAD, file_sent(EXPORT), follow=True)
    url, page = asked.redirect_chain[-1][0], asked.content.decode()
    assert "Needed are the day, the variant, impressions and clicks" in page
    assert "2025-08-31" in page
    assert [field.initial for field, _cells in asked.context["form"].rows()] == ["", "", "", "clicks"]

    shown = analyst.post(url, ANSWER, follow=True)
    analyst.post(shown.redirect_chain[-1][0])
    again = analyst.post(UPLOAD, file_sent(EXPORT), follow=True)
    assert [dict(page.context["preview"].tally) for page in (shown, again)] == [{"added": 2}, {"same": 2}]


def test_columns__example_that_is_long__is_cut_with_a_mark(analyst: Client) -> None:
    make_running()
    moment = "2025-08-31T14:02:10.123456-05:00"
    rows = f"When,Group,Shown,clicks\n{moment},{'a' * 33},700,63\n"

    asked = analyst.post(UPLOAD, file_sent(rows), follow=True)

    assert [cells for _field, cells in asked.context["form"].rows()][:2] == [moment, f"{'a' * 31}…"]


def test_upload__columns_answered_but_not_recorded__are_asked_for_again(analyst: Client) -> None:
    experiment = make_running()
    url = analyst.post(UPLOAD, file_sent(EXPORT), follow=True).redirect_chain[-1][0]

    assert analyst.post(url, ANSWER, follow=True).context["preview"].rows == 2

    assert remembered_columns(experiment) == {}
    assert "/columns/" in analyst.post(UPLOAD, file_sent(EXPORT), follow=True).redirect_chain[-1][0]


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
    url = analyst.post(UPLOAD, file_sent(EXPORT), follow=True).redirect_chain[-1][0]

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
    url = analyst.post(UPLOAD, file_sent(text), follow=True).redirect_chain[-1][0]

    assert said in analyst.post(url, ANSWER).content.decode()


def test_columns__a_long_header__is_remembered(analyst: Client) -> None:
    make_running()
    text = EXPORT.replace("Shown", "Shown" + "x" * 250)
    url = analyst.post(UPLOAD, file_sent(text), follow=True).redirect_chain[-1][0]

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

    page = analyst.post(UPLOAD, file_sent(text)).content.decode()

    assert "columns, the most are 200; remove those not needed" in page


def test_upload__single_orders__columns_named_by_a_person__show_what_changes(analyst: Client) -> None:
    make_running(value_cap=Decimal(100), currency="EUR")
    orders = "When,Variant,Revenue\n2025-09-01 14:03,control,12.50\n2025-09-01,control,300\n"
    url = analyst.post(UPLOAD, file_sent(orders), follow=True).redirect_chain[-1][0]
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
    recorded = json.loads(Experiment.history.latest().history_change_reason)
    assert recorded == {"event": "data.uploaded", "file": "totals.csv", "orders": 2, "capped": 1}


def test_columns__value_of_orders_beside_counts__is_refused(analyst: Client) -> None:
    make_running()
    orders = "When,Variant,Revenue,Shown\n2025-09-01,control,12.50,100\n"
    url = analyst.post(UPLOAD, file_sent(orders), follow=True).redirect_chain[-1][0]
    answer = {"column-0": "date", "column-1": "variant_name", "column-2": "value", "column-3": "impressions"}

    page = analyst.post(url, answer).content.decode()

    assert "Beside the value of single orders these are not needed: Impressions." in page


def test_mapping__remembered_columns__are_shown_and_forgotten_with_a_line_in_the_history(
    analyst: Client,
) -> None:
    experiment = make_running()
    remember_columns(experiment, {"Placement": "variant_name", "Cost (EUR)": ""})

    data = analyst.get(DATA).content.decode()
    page = analyst.get(f"{DATA}columns/").content.decode()
    assert ("2 remembered" in data, f"{DATA}columns/" in data) == (True, True)
    assert re.findall(r'<th scope="row">(.*?)</th>\s*<td>(.*?)</td>', page) == [
        ("placement", "Variant"),
        ("costeur", "Not needed"),
    ]

    done = analyst.post(f"{DATA}columns/forget/", follow=True).content.decode()
    assert "2 columns are forgotten." in done
    assert remembered_columns(experiment) == {}
    assert "Columns of files forgotten" in analyst.get(f"{ONE}history/").content.decode()


def test_mapping__nothing_remembered__says_so_and_offers_nothing(analyst: Client) -> None:
    experiment = make_running()

    page = analyst.get(f"{DATA}columns/").content.decode()
    analyst.post(f"{DATA}columns/forget/")

    assert "Nothing is remembered" in page
    assert f"{DATA}columns/forget/" not in page
    assert not experiment.history.filter(history_change_reason__contains="columns").exists()
