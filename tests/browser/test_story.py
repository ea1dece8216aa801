"""A marketer goes from the first click to the winner, in a real browser."""

import datetime as dt
import re
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, expect

from experiments.models import Experiment, Status
from experiments.selectors import today
from tests.browser.accessibility import SCHEMES, WIDTHS, show, violations

pytestmark = pytest.mark.django_db(transaction=True)


def _week(key: str) -> str:
    """A CSV of seven days up to yesterday, on which blue does better than the control and green does not."""
    days = [today() - dt.timedelta(days=age) for age in range(7, 0, -1)]
    clicks = {"control": 50, "blue": 80, "green": 49}
    rows = [f"{key},{day},{name},1000,{number},5" for day in days for name, number in clicks.items()]
    return "\n".join(["experiment_id,date,variant_name,impressions,clicks,conversions", *rows, ""])


@pytest.mark.parametrize(("width", "scheme"), list(zip(WIDTHS, SCHEMES, strict=True)))
def test_marketer__from_the_first_click_to_the_winner(
    clean_page: Page, live_server: Any, width: int, scheme: str
) -> None:
    page = clean_page
    show(page, f"{live_server.url}/dashboard/", width, scheme)

    _create(page)
    _upload_a_week(page)
    _see_the_decision(page)
    _end_with_the_winner(page)

    assert page.evaluate("document.documentElement.scrollWidth") == width
    made = Experiment.objects.get()
    assert made.winner is not None
    assert (made.status, made.winner.name) == (Status.COMPLETED, "blue")


def _create(page: Page) -> None:
    """Create an experiment with three variants."""
    page.get_by_role("link", name="Create an experiment").last.click()
    page.get_by_label("Name", exact=True).fill("Buy button")
    page.get_by_label("Name of the variant").nth(1).fill("blue")
    page.get_by_role("button", name="Add a variant").click()
    page.get_by_label("Name of the variant").nth(2).fill("green")
    page.get_by_role("button", name="Start experiment").click()
    expect(page.get_by_text("Started. Add the first day here")).to_be_visible()


def _upload_a_week(page: Page) -> None:
    """Upload a week of numbers after a look at what they would change."""
    page.get_by_role("link", name="Data", exact=True).click()
    page.get_by_role("link", name="Upload CSV").click()
    file: FilePayload = {"name": "week.csv", "mimeType": "text/csv", "buffer": _week("buy-button").encode()}
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("button", name="Preview changes").click()
    page.get_by_role("button", name=re.compile("^Record")).click()
    expect(page.get_by_text("Recorded 21 rows.")).to_be_visible()


def _see_the_decision(page: Page) -> None:
    """See the decision, and why."""
    page.locator(".alert").get_by_role("button", name="Update allocation").click()
    expect(page.get_by_text("Allocation updated with the latest data.")).to_be_visible()
    page.get_by_role("link", name="Results").click()
    expect(page.get_by_role("heading", name=re.compile("^blue leads: click-through rate"))).to_be_visible()
    assert violations(page) == []
    page.get_by_role("link", name="Traffic", exact=True).click()
    expect(page.get_by_role("heading", name="How this allocation was computed")).to_be_visible()
    expect(page.get_by_text("Maximum daily increase")).to_be_visible()
    expect(
        page.get_by_role("img", name=re.compile("Traffic allocation: control .*, blue 53.3%")).first
    ).to_be_visible()
    assert violations(page) == []


def _end_with_the_winner(page: Page) -> None:
    """Pause, resume, and complete with the winner."""
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("heading", name="Paused. Traffic stays at the last allocation.")).to_be_visible()
    page.get_by_role("button", name="Resume").first.click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.get_by_role("button", name="End…").click()
    page.get_by_role("radio", name="blue").check()
    page.get_by_label("Reason").fill("Sells more.")
    page.get_by_role("button", name="End and ship blue").click()
    expect(page.get_by_role("heading", name=re.compile("^Ended on .*: blue was chosen with"))).to_be_visible()
