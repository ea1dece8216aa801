"""An experiment's results, exploration and traffic in a real browser, with data that strain a page."""

import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from experiments.models import Experiment
from experiments.services import create_experiment
from tests.browser.accessibility import (
    show,
    violations_at_each_width,
    violations_of_each,
    violations_of_translation,
)
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, record

pytestmark = pytest.mark.usefixtures("transactional_db", "today")

_LONG = "Supercalifragilisticexpialidocious" * 3 + " and some words"


def _make(
    rates: dict[str, float], days: int, daily: int, name: str = "Strain", decisions: int = 3
) -> Experiment:
    """Record days up to yesterday, with decisions for the last dates."""
    experiment = create_experiment(name=name, now=NOW)
    for age in range(days, 0, -1):
        date = TODAY - dt.timedelta(days=age)
        rows = [counts(key, daily, round(daily * r), round(daily * r / 5), date) for key, r in rates.items()]
        record(experiment, *rows)
        if age <= decisions:
            allocate(experiment, date + dt.timedelta(days=1))
    return experiment


CASES: dict[str, Callable[[], Experiment]] = {
    "long names": lambda: _make(
        {f"control {_LONG}"[:120]: 0.05, _LONG[:120]: 0.06}, 20, 1000, f"{_LONG} {_LONG}"[:190]
    ),
    "twelve": lambda: _make({f"variant {n}": 0.05 + n / 500 for n in range(12)}, 20, 2000),
    "a hundred": lambda: _make({f"variant {n:03}": 0.05 + n / 5000 for n in range(100)}, 4, 2000),
    "no data": lambda: create_experiment(name="Strain", now=NOW),
    "one day": lambda: _make({"a": 0.05, "b": 0.06}, 1, 3000),
    "zero clicks": lambda: _make({"a": 0.0, "b": 0.0}, 20, 1000),
    "tiny rates": lambda: _make({"a": 0.0001, "b": 0.00012}, 20, 300_000),
    "huge": lambda: _make({"a": 0.05, "b": 0.0501}, 3, 10**12),
}


def _tabs(live_server: Any, experiment: Experiment, *tabs: str) -> dict[str, str]:
    return {tab: f"{live_server.url}/dashboard/experiments/{experiment.key}/{tab}" for tab in tabs}


@pytest.mark.parametrize("case", CASES)
def test_tabs__data_that_strain_them__fit_and_are_accessible(
    clean_page: Page, live_server: Any, case: str
) -> None:
    tabs = _tabs(live_server, CASES[case](), "", "explore/", "traffic/")

    assert violations_of_each(clean_page, tabs, violations_at_each_width) == {}


def test_tabs__in_portuguese__fit(clean_page: Page, live_server: Any) -> None:
    experiment = _make({"control": 0.05, "b": 0.06, "c": 0.055}, 20, 2000)
    explored = "explore/?from=2025-08-20&to=2025-08-30&range=14"
    clean_page.set_extra_http_headers({"Accept-Language": "pt-BR"})

    def check(page: Page) -> list[str]:
        expect(page.locator("html")).to_have_attribute("lang", "pt-br")
        return violations_of_translation(page)

    tabs = _tabs(live_server, experiment, "", explored, "traffic/")
    assert violations_of_each(clean_page, tabs, check) == {}


def test_verdict__end_and_ship__opens_the_dialog_with_the_leader_chosen(
    clean_page: Page, live_server: Any
) -> None:
    experiment = _make({"control": 0.05, "b": 0.07}, 20, 2000, decisions=1)
    show(clean_page, f"{live_server.url}/dashboard/experiments/{experiment.key}/", 1440, "light")

    clean_page.get_by_role("button", name="End and ship b…").click()

    expect(clean_page.get_by_role("dialog")).to_be_visible()
    expect(clean_page.get_by_role("radio", name=re.compile("^b"))).to_be_checked()


def test_verdict__on_a_telephone__its_action_stays_within_reach(clean_page: Page, live_server: Any) -> None:
    experiment = _make({"control": 0.05, "b": 0.07}, 20, 2000, decisions=1)
    show(clean_page, f"{live_server.url}/dashboard/experiments/{experiment.key}/", 390, "light")

    button = clean_page.get_by_role("button", name="End and ship b…")
    expect(button).to_be_in_viewport(ratio=1)
    clean_page.mouse.wheel(0, 3000)
    expect(button).to_be_in_viewport(ratio=1)


_INNER_SCROLL = """() => [...document.querySelectorAll(".table-responsive:not(.chart-table)")]
  .filter((box) => box.scrollWidth > box.clientWidth + 1 && box.checkVisibility())
  .map((box) => box.getAttribute("aria-labelledby") || box.getAttribute("aria-label"))"""


@pytest.mark.parametrize("case", ["long names", "twelve"])
def test_tables__on_a_telephone__do_not_scroll_inside_themselves(
    clean_page: Page, live_server: Any, case: str
) -> None:
    tabs = _tabs(live_server, CASES[case](), "", "explore/", "traffic/", "report/")

    assert violations_of_each(clean_page, tabs, lambda page: list(page.evaluate(_INNER_SCROLL))) == {}


def test_tabs__on_a_telephone__are_all_in_sight(clean_page: Page, live_server: Any) -> None:
    experiment = _make({"control": 0.05, "b": 0.07}, 2, 2000)
    clean_page.set_extra_http_headers({"Accept-Language": "pt-BR"})
    show(clean_page, f"{live_server.url}/dashboard/experiments/{experiment.key}/", 390, "light")

    tabs = clean_page.locator(".tabs a")
    expect(tabs).to_have_count(8)
    for n in range(8):
        expect(tabs.nth(n)).to_be_in_viewport(ratio=1)


def test_list__long_names_on_a_telephone__leave_the_lift_in_sight(clean_page: Page, live_server: Any) -> None:
    _make({"control": 0.05, _LONG[:120]: 0.06}, 20, 1000, f"{_LONG} {_LONG}"[:190], decisions=1)
    show(clean_page, f"{live_server.url}/dashboard/", 390, "light")

    lift = clean_page.locator(".list-ahead strong")
    expect(lift).to_have_text("+20.0%")
    height = lift.evaluate(
        "(it) => it.getBoundingClientRect().height / parseFloat(getComputedStyle(it).lineHeight)"
    )
    assert height < 1.5


def test_traffic__a_hundred_variants__are_shown_on_demand(clean_page: Page, live_server: Any) -> None:
    experiment = CASES["a hundred"]()
    for tab in ("explore/", "traffic/"):
        show(clean_page, f"{live_server.url}/dashboard/experiments/{experiment.key}/{tab}", 1440, "light")

        rows = clean_page.get_by_role("rowheader", name=re.compile("^variant 0"))
        before = rows.count()
        clean_page.get_by_role("link", name="90 more variants").last.click()
        # Only the loaded page has these: between two pages there are neither rows nor links.
        expect(rows.nth(before + 84)).to_be_attached()
        expect(clean_page.get_by_role("link", name="90 more variants")).to_have_count(0)


def test_report__a_hundred_variants__ten_on_screen_and_all_on_paper(
    clean_page: Page, live_server: Any
) -> None:
    experiment = CASES["a hundred"]()
    show(clean_page, f"{live_server.url}/dashboard/experiments/{experiment.key}/report/", 1440, "light")
    rows = clean_page.locator("table.leaderboard tbody tr")
    visible = "(rows) => rows.filter((row) => row.checkVisibility()).length"
    on_screen = rows.evaluate_all(visible)
    clean_page.emulate_media(media="print")
    on_paper = rows.evaluate_all(visible)
    clean_page.emulate_media(media="screen")

    clean_page.get_by_role("link", name="90 more variants").click()
    expect(rows.nth(99)).to_be_visible()

    assert (on_screen, on_paper, rows.evaluate_all(visible)) == (10, 100, 100)
    expect(clean_page.get_by_role("link", name="90 more variants")).to_have_count(0)


def test_chart__its_file__is_named_after_the_experiment_and_the_chart(
    clean_page: Page, live_server: Any
) -> None:
    experiment = make_experiment("Hero")
    record(experiment, counts("a", 1000, 50), counts("b", 1000, 60))
    allocate(experiment)
    show(clean_page, f"{live_server.url}/dashboard/experiments/hero/", 1440, "light")

    with clean_page.expect_download() as download:
        clean_page.locator("[data-chart-csv]").first.click()

    assert download.value.suggested_filename == "hero-traffic-over-time.csv"


def test_decimals__shared_vectors__are_those_of_the_pages(clean_page: Page, live_server: Any) -> None:
    folder = Path(__file__).parents[1] / "dashboard/vectors"
    vectors = json.loads((folder / "decimals.json").read_text())
    show(clean_page, f"{live_server.url}/accounts/login/", 1440, "light")

    found = clean_page.evaluate(
        """async ([url, vectors]) => {
          const numbers = await import(url);
          return {
            decimals_of: vectors.decimals_of.map(([value]) => [value, numbers.decimalsOf(value)]),
            decimals_of_step: vectors.decimals_of_step.map(([step]) => [step, numbers.decimalsOfStep(step)]),
          };
        }""",
        [f"{live_server.url}/static/js/numbers.js", vectors],
    )

    assert found == vectors
