"""Integrate, the report and first steps in a real browser: they fit, print, and everyone can read them."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from allocation.demo import DemoExperiment, seed_demo
from dashboard.experiment.report.links import create_link
from experiments.models import Experiment, Status
from tests.browser.accessibility import (
    show,
    violations_at_each_width,
    violations_in_each_layout,
    violations_of_each,
    violations_of_translation,
)
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, record

pytestmark = pytest.mark.django_db(transaction=True)

_LONG = "A" * 60 + " " + "Supercalifragilisticexpialidocious" * 2
_LANGUAGES = ("en", "pt-br")


@pytest.fixture
def crowd(today: Any) -> Experiment:
    """Twelve variants with names of 120 characters, twenty days of data."""
    experiment = make_experiment(_LONG[:120], description=f"Does {_LONG} work?", owner="ana")
    for age in range(20):
        day = TODAY - dt.timedelta(days=age)
        rows = [counts(f"{n} {_LONG}"[:120], 400 + n, 20 + 2 * n, 3, date=day) for n in range(12)]
        record(experiment, *rows)
    allocate(experiment)
    return experiment


def _speak(page: Page, language: str, home: str) -> None:
    page.context.add_cookies([{"name": "django_language", "value": language, "url": home}])


@pytest.mark.parametrize("language", _LANGUAGES)
def test_pages__long_names_and_twelve_variants__fit_and_are_accessible(
    clean_page: Page, live_server: Any, crowd: Experiment, language: str
) -> None:
    _speak(clean_page, language, live_server.url)
    paths = [f"experiments/{crowd.key}/{name}/" for name in ("report", "integrate")]
    paths.append(f"shared/{create_link(experiment=crowd, days=7, now=NOW)}/")
    pages = {path: f"{live_server.url}/dashboard/{path}" for path in paths}
    check = violations_in_each_layout if language == "en" else violations_of_translation

    assert violations_of_each(clean_page, pages, check) == {}


@pytest.mark.parametrize("language", _LANGUAGES)
def test_first_steps__empty_installation_and_draft__fit_and_are_accessible(
    clean_page: Page, live_server: Any, language: str
) -> None:
    _speak(clean_page, language, live_server.url)
    home = f"{live_server.url}/dashboard/"
    check = violations_at_each_width if language == "en" else violations_of_translation
    assert violations_of_each(clean_page, {"empty": home}, check) == {}

    make_experiment("Planned", status=Status.DRAFT)
    draft = {"draft": f"{home}experiments/planned/"}
    assert violations_of_each(clean_page, draft, check) == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report__printed__is_light_and_has_charts_and_no_buttons(
    clean_page: Page, live_server: Any, today: Any, tmp_path: Path, scheme: str
) -> None:
    rates = {"control": 0.05, "benefit": 0.06}
    seed_demo(today=TODAY, now=NOW, seed=3, stories=[DemoExperiment("Headline", "Which?", 20, 3000, rates)])
    show(clean_page, f"{live_server.url}/dashboard/experiments/headline/report/", 1440, scheme)

    clean_page.emulate_media(media="print", color_scheme="dark" if scheme == "dark" else "light")
    clean_page.evaluate("window.dispatchEvent(new Event('beforeprint'))")

    expect(clean_page.locator("html")).to_have_attribute("data-bs-theme", "light")
    expect(clean_page.locator("canvas").first).to_be_visible()
    expect(clean_page.locator("button:visible, .tabs:visible, header.site-header:visible")).to_have_count(0)
    clean_page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    expect(clean_page.locator("html")).to_have_attribute("data-bs-theme", scheme)
    pdf = clean_page.pdf(format="A4", print_background=True)
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") <= 3


def test_report__link__is_made_copied_read_and_revoked(clean_page: Page, live_server: Any) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 900, 40), counts("b", 900, 60), today=timezone.localdate())
    home = f"{live_server.url}/dashboard/experiments/button-colour/report/"
    clean_page.goto(home)

    clean_page.get_by_label("A link that works for").select_option("7")
    clean_page.get_by_role("button", name="Create link").click()
    address = clean_page.locator("#link").inner_text()
    clean_page.goto(address)
    expect(clean_page.get_by_role("heading", name="Button colour")).to_be_visible()
    expect(clean_page.locator("canvas").first).to_be_visible()

    clean_page.goto(home)
    clean_page.get_by_role("button", name="Revoke").click()
    expect(clean_page.get_by_text("The link is revoked")).to_be_visible()


def test_simulator__use_these_settings__leads_to_the_form_of_an_experiment(
    clean_page: Page, live_server: Any
) -> None:
    make_experiment("Open one")
    query = "rates=4+6&daily_traffic=100&days=2&runs=2&a_max_daily_shift=5"
    clean_page.goto(f"{live_server.url}/dashboard/simulator/?{query}")

    clean_page.get_by_role("button", name="Use these settings").click()
    clean_page.get_by_label("Experiment").select_option("Open one")
    clean_page.get_by_role("button", name="Fill in the form").click()

    expect(clean_page.get_by_text("nothing is saved yet")).to_be_visible()
    expect(clean_page.locator("#id_max_daily_shift")).to_have_value("5")
