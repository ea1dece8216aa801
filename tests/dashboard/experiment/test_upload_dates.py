"""Uploaded files whose dates may be read in two orders: asked about in the preview, and recorded as chosen."""

import datetime as dt
import re

import pytest
from django.test import Client

from tests.dashboard.clients import client_of
from tests.dashboard.experiment.data_pages import HEADER, UPLOAD, file_sent, stored_rows
from tests.factory import make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


@pytest.fixture
def analyst() -> Client:
    return client_of("analyst")


def test_preview__order_of_day_and_month_is_in_doubt__is_asked_and_recorded_as_chosen(
    analyst: Client,
) -> None:
    experiment = make_running()
    text = f"{HEADER}{experiment.key},01/03/2025,control,11,2,0\n{experiment.key},02/03/2025,control,12,2,0\n"

    asked = analyst.post(UPLOAD, file_sent(text), follow=True)
    url = asked.redirect_chain[-1][0]
    [question] = asked.context["doubts"]
    assert (question.name, asked.context["preview"].report.processed_rows) == ("date_order", 0)
    assert "can be read as 2025-01-03 or as 2025-03-01" in asked.content.decode()

    shown = analyst.get(url, {"date_order": "day_first"})
    assert [field.name for field in shown.context["doubts"]] == ["date_order"]
    assert "can only be so" not in shown.content.decode()
    analyst.post(url, {"date_order": "day_first"})

    assert [row[0] for row in stored_rows()][:2] == [dt.date(2025, 3, 1), dt.date(2025, 3, 2)]


@pytest.mark.parametrize(
    ("date", "said"),
    [
        ("13/03/2025", "Dates are read day first, as 13/03/2025 can only be so."),
        ("03/13/2025", "Dates are read month first, as 03/13/2025 can only be so."),
    ],
)
def test_preview__order_of_day_and_month_is_shown_by_a_date__says_by_which(
    analyst: Client, date: str, said: str
) -> None:
    experiment = make_running()
    text = f"{HEADER}{experiment.key},01/03/2025,control,11,2,0\n{experiment.key},{date},control,12,2,0\n"

    shown = analyst.post(UPLOAD, file_sent(text), follow=True)

    assert said in shown.content.decode()
    assert [field.name for field in shown.context["doubts"]] == ["date_order"]


@pytest.mark.parametrize("other", ["03/14/2025", "2025-03-14"])
def test_preview__no_order_holds_for_the_file__offers_no_choice(analyst: Client, other: str) -> None:
    experiment = make_running()
    lines = [f"{experiment.key},{date},control,11,2,0\n" for date in ("01/03/2025", "13/03/2025", other)]

    shown = analyst.post(UPLOAD, file_sent(HEADER + "".join(lines)), follow=True)

    assert not shown.context["doubts"]
    assert "or say above" not in shown.content.decode()


def test_preview__shown_again__keeps_choices_that_are_not_shown(analyst: Client) -> None:
    experiment = make_running()
    text = f"{HEADER}{experiment.key},01/03/2025,control,11,2,\n"
    asked = analyst.post(UPLOAD, file_sent(text), follow=True)
    query = {"date_order": "day_first", "blank": "zero", "repeated": "sum"}

    shown = analyst.get(asked.redirect_chain[-1][0], query)

    again = shown.content.decode().split('method="get"')[1].split("</form>")[0]
    sent = dict(re.findall(r'type="hidden"\s+name="(\w+)"\s+value="(\w+)"', again))
    sent |= {field.name: field.value() for field in shown.context["doubts"]}
    assert {name: sent[name] for name in query} == query
    assert sent.keys() == query.keys()
