"""Every page in a real browser: it fits, writes nothing to the console, and everyone can read and use it."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from allocation.demo import DemoExperiment, seed_demo
from experiments.models import Experiment, Status
from tests.browser.accessibility import (
    SCHEMES,
    show,
    violations,
    violations_in_each_layout,
    violations_of_each,
)
from tests.factory import NOW, TODAY, allocate, make_experiment, make_running

_ONE = "/dashboard/experiments/headline/"
PAGES = {
    "what one reads": [_ONE, f"{_ONE}explore/", f"{_ONE}traffic/", f"{_ONE}history/", f"{_ONE}report/"],
    # The form of a new experiment is in test_forms.
    "what one does": [
        f"{_ONE}data/", f"{_ONE}data/day/?date=2025-08-30", f"{_ONE}settings/", f"{_ONE}integrate/",
    ],
    "the others": [
        "/dashboard/", "/dashboard/experiments/planned/", "/dashboard/experiments/done/", "/accounts/login/",
        "/accounts/password_reset/",
    ],
}  # fmt: skip


@pytest.fixture
def stories(transactional_db: None, today: Any) -> None:
    """Three experiments: one runs and has a variant with a long name, one is completed, one has not begun."""
    rates = {"control": 0.05, "benefit": 0.06, "a name so long that it has to wrap on every telephone": 0.045}
    seed_demo(
        today=TODAY,
        now=NOW,
        seed=3,
        stories=[
            DemoExperiment("Headline", "Three headlines above the fold.", 20, 3000, rates),
            DemoExperiment("Done", "", 16, 2000, {"control": 0.05, "b": 0.07}, ends_as=Status.COMPLETED),
            DemoExperiment("Planned", "", 0, 0, {}, ends_as=Status.DRAFT),
        ],
    )


@pytest.mark.usefixtures("stories")
@pytest.mark.parametrize("part", PAGES)
def test_pages__each_width_and_theme__fit_and_are_accessible(
    clean_page: Page, live_server: Any, part: str
) -> None:
    pages = {path: f"{live_server.url}{path}" for path in PAGES[part]}

    assert violations_of_each(clean_page, pages, violations_in_each_layout) == {}


@pytest.mark.django_db(transaction=True)
def test_error_page__each_theme__is_accessible_and_leads_back(
    page_with_refusals: Page, live_server: Any
) -> None:
    page = page_with_refusals
    for scheme in SCHEMES:
        show(page, f"{live_server.url}/dashboard/experiments/none/", 390, scheme)
        assert violations(page) == []
    page.get_by_role("link", name="Back to the experiments").click()
    expect(page).to_have_url(f"{live_server.url}/dashboard/")


@pytest.fixture
def some_experiments(transactional_db: None) -> None:
    allocate(make_running("Button colour"))
    make_experiment("A long name that has to wrap on a telephone without pushing anything off the page")


@pytest.mark.usefixtures("some_experiments")
def test_experiments_page__root__leads_there_and_shows_the_split(clean_page: Page, live_server: Any) -> None:
    clean_page.goto(f"{live_server.url}/")

    expect(clean_page).to_have_url(f"{live_server.url}/dashboard/")
    expect(clean_page.get_by_role("cell", name="variant_b 70.0%")).to_be_visible()


@pytest.mark.usefixtures("stories")
def test_experiments_page__search__answers_as_one_types(clean_page: Page, live_server: Any) -> None:
    clean_page.goto(f"{live_server.url}/dashboard/")

    clean_page.get_by_role("searchbox").press_sequentially("headline")

    expect(clean_page.get_by_role("link", name="Planned")).to_have_count(0)
    expect(clean_page.get_by_role("link", name="Headline", exact=True)).to_be_visible()
    expect(clean_page).to_have_url(f"{live_server.url}/dashboard/?q=headline&order=attention")


def test_docs_page__offline__lists_the_calls(clean_page: Page, live_server: Any) -> None:
    clean_page.goto(f"{live_server.url}/docs")

    expect(clean_page.get_by_text("/upload-data")).to_be_visible(timeout=120_000)


@pytest.mark.usefixtures("stories")
def test_tabs__on_a_telephone__the_open_one_is_in_sight(clean_page: Page, live_server: Any) -> None:
    show(clean_page, f"{live_server.url}{_ONE}history/", 390, "light")

    expect(clean_page.get_by_role("link", name="History")).to_be_in_viewport(ratio=0.9)


@pytest.mark.usefixtures("stories")
def test_chart__its_table__writes_dates_as_the_page_does(clean_page: Page, live_server: Any) -> None:
    show(clean_page, f"{live_server.url}{_ONE}traffic/", 1440, "light")

    clean_page.get_by_role("button", name="Table").first.click()

    table = clean_page.locator(".chart-table").first
    expect(table.get_by_role("rowheader", name="1 Sep 2025", exact=True)).to_be_visible()


@pytest.mark.usefixtures("stories")
def test_refresh__new_numbers__come_in_but_not_under_the_reader(clean_page: Page, live_server: Any) -> None:
    show(clean_page, f"{live_server.url}/dashboard/", 1440, "light")
    Experiment.objects.filter(name="Planned").update(name="Planned again")
    clean_page.get_by_role("link", name="Done").focus()

    with clean_page.expect_response("**/dashboard/"):
        clean_page.evaluate("document.dispatchEvent(new Event('refresh'))")
    expect(clean_page.get_by_role("link", name="Done")).to_be_focused()
    expect(clean_page.get_by_role("link", name="Planned", exact=True)).to_be_visible()

    clean_page.get_by_role("link", name="Done").blur()
    clean_page.evaluate("document.dispatchEvent(new Event('refresh'))")
    expect(clean_page.get_by_role("link", name="Planned again")).to_be_visible()


@pytest.mark.usefixtures("stories")
def test_page__without_scripts__leads_everywhere_and_completes(browser: Browser, live_server: Any) -> None:
    page = browser.new_page(java_script_enabled=False, viewport={"width": 390, "height": 900})
    page.goto(f"{live_server.url}{_ONE}")
    expect(page.get_by_role("link", name="Simulator")).to_be_visible()

    page.get_by_role("radio", name="benefit").check()
    page.get_by_label("Reason").fill("Sells more.")
    page.get_by_role("button", name="End the experiment").click()

    expect(page.get_by_text("Ended: benefit gets all traffic.").first).to_be_visible()
    page.close()
