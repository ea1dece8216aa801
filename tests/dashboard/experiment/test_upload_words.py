"""Words of an upload's pages: a column that is missing, a whole line, a day, each in the page's language."""

import pytest
from django.test import Client

from experiments.metrics import Reward
from tests.dashboard.clients import client_of
from tests.dashboard.experiment.data_pages import (
    HEADER,
    UPLOAD,
    file_sent,
)
from tests.factory import make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


@pytest.fixture
def analyst() -> Client:
    return client_of("analyst")


def test_preview__column_that_the_goal_needs_is_missing__is_one_problem_with_the_fix(analyst: Client) -> None:
    experiment = make_running(reward=Reward.CONVERSION_RATE)
    rows = "".join(f"2025-08-{day},control,11,2\n" for day in (10, 11, 12))

    shown = analyst.post(UPLOAD, file_sent(f"date,variant_name,impressions,clicks\n{rows}"), follow=True)

    [issue] = shown.context["preview"].report.issues
    assert (issue.line, issue.column) == (1, "conversions")
    assert f"Is not in the file, and the goal of {experiment.key} needs it: add it" in shown.content.decode()
    assert "#file-line-" not in shown.content.decode()


@pytest.mark.parametrize(
    ("reward", "needed"),
    [
        (Reward.CTR, []),
        (Reward.CLICK_CONVERSION_RATE, ["conversions"]),
        (Reward.VALUE_PER_CLICK, ["value_sum", "value_squares"]),
    ],
)
def test_upload_page__says_which_columns_the_goal_needs(
    analyst: Client, reward: Reward, needed: list[str]
) -> None:
    make_running(reward=reward)

    page = analyst.get(UPLOAD)

    assert page.context["needed"] == needed
    assert ("for conversions are optional" in page.content.decode()) == (not needed)
    assert ", ".join(needed) in page.content.decode()


def test_preview__problem_of_a_whole_line__is_named_in_the_pages_language(analyst: Client) -> None:
    text = f"{HEADER}{make_running().key},2025-08-10,control,11,2,0,1\n"

    shown = analyst.post(UPLOAD, file_sent(text), follow=True, headers={"accept-language": "pt-br"})

    assert "a linha inteira" in shown.content.decode()


def test_preview__day_that_is_refused__is_written_as_pages_write_days(analyst: Client) -> None:
    text = f"{HEADER}{make_running().key},1999-12-31,control,11,2,0\n"

    english = analyst.post(UPLOAD, file_sent(text), follow=True)
    shown = analyst.post(UPLOAD, file_sent(text), follow=True, headers={"accept-language": "pt-br"})

    assert "31 Dec 1999 is before 1 Jan 2000" in english.content.decode()
    assert "31 dez. 1999 é anterior a 1 jan. 2000" in shown.content.decode()


def test_upload__of_an_empty_file__is_refused_in_right_portuguese(analyst: Client) -> None:
    make_running()

    shown = analyst.post(UPLOAD, file_sent(""), headers={"accept-language": "pt-br"})

    assert "O arquivo enviado está vazio." in shown.content.decode()
