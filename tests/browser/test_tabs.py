"""Data, Settings, History and the end of an experiment in a real browser: they fit, and everyone can use them."""

import datetime as dt
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from allocation.models import Allocation
from allocation.services import complete_experiment
from experiments.campaign.watch import add_guard, add_note
from experiments.models import DailyMetric, Experiment, Status
from experiments.services import create_experiment, update_experiment
from experiments.tables.mapping import remember_columns
from tests.browser.accessibility import (
    show,
    violations_at_each_width,
    violations_of_each,
    violations_of_translation,
)
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, record

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("today")]

DAY = dt.timedelta(days=1)
LONG = "A" * 60 + " Supercalifragilisticexpialidocious" * 3
TABS = [
    "data/", "data/day/?date=2025-08-30", "data/upload/", "data/columns/", "settings/", "history/", "integrate/", "",
]  # fmt: skip


def make_full(**fields: Any) -> Experiment:
    """Everything has a name of 120 characters; a day is missing, one has a note, a metric is guarded."""
    experiment = make_experiment(LONG[:120], key="full", **fields)
    long = [f"{letter}{LONG}"[:120] for letter in "bc"]
    for n in (9, 8, 6, 5, 3, 2, 1):
        date = TODAY - n * DAY
        rows = [
            counts(name, 10**11 if n == 1 else 3000, 200 + n, 20, date=date) for name in ("control", *long)
        ]
        record(experiment, *rows)
        allocate(experiment, date + DAY)
    add_note(experiment_id=experiment.pk, date=TODAY - 2 * DAY, text=LONG, now=NOW)
    add_guard(experiment_id=experiment.pk, metric="conversion_rate", max_fall=5, action="tell", now=NOW)
    remember_columns(experiment, {LONG[:120]: "variant_name", "Cost": ""})
    update_experiment(experiment_id=experiment.pk, now=NOW, owner=LONG[:80], settings={"control_floor": 0.2})
    return experiment


@pytest.mark.parametrize("language", ["en", "pt-br"])
def test_tabs__long_names_in_each_language__fit_and_are_accessible(
    clean_page: Page, live_server: Any, language: str
) -> None:
    make_full()
    clean_page.set_extra_http_headers({"Accept-Language": language})
    tabs = {tab: f"{live_server.url}/dashboard/experiments/full/{tab}" for tab in TABS}
    check = violations_at_each_width if language == "en" else violations_of_translation

    assert violations_of_each(clean_page, tabs, check) == {}


@pytest.mark.parametrize("opener", ["complete", "undo-end", "deactivate"])
def test_dialog__each_width__fits_and_is_accessible(clean_page: Page, live_server: Any, opener: str) -> None:
    experiment = make_full()
    if opener == "undo-end":
        complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, decision_reason=LONG)
    show(clean_page, f"{live_server.url}/dashboard/experiments/full/settings/", 390, "light")
    clean_page.locator(f"button[data-dialog^={opener}]").first.click()
    expect(clean_page.get_by_role("dialog")).to_be_visible()

    assert violations_at_each_width(clean_page) == []


def test_dialog__scripts_of_the_charts_not_here_yet__opens(clean_page: Page, live_server: Any) -> None:
    experiment = make_full()
    clean_page.route("**/js/page.js", lambda route: None)
    clean_page.goto(f"{live_server.url}/dashboard/experiments/{experiment.key}/", wait_until="commit")

    clean_page.get_by_role("button", name="End…").click()
    expect(clean_page.get_by_role("dialog")).to_be_visible()
    clean_page.get_by_role("button", name="Cancel").click()

    expect(clean_page.get_by_role("dialog")).to_be_hidden()


def test_end__choose_and_undo__is_as_before(clean_page: Page, live_server: Any) -> None:
    experiment = make_experiment("Headline")
    record(experiment, counts("control", 10000, 700), counts("b", 10000, 950))
    allocate(experiment)
    show(clean_page, f"{live_server.url}/dashboard/experiments/headline/history/", 1440, "light")

    clean_page.get_by_role("button", name="End…").click()
    clean_page.get_by_role("radio", name="b +").check()
    clean_page.get_by_label("Reason").fill("Sells more.")
    clean_page.get_by_role("button", name="End and ship b").click()
    expect(clean_page.get_by_text("Ended: b gets all traffic.")).to_be_visible()
    assert Experiment.objects.get().status == Status.COMPLETED

    clean_page.get_by_role("button", name="Undo the end…").click()
    clean_page.get_by_role("button", name="Undo the end", exact=True).click()
    expect(clean_page.get_by_text("The end is undone.")).to_be_visible()
    assert Experiment.objects.get().status == Status.ACTIVE
    assert Allocation.objects.in_force_on(TODAY)[0].kind == "optimized"


def test_calendar__missing_day__is_added_from_there(clean_page: Page, live_server: Any) -> None:
    experiment = make_experiment("Headline")
    for n in (3, 1):
        date = TODAY - n * DAY
        record(experiment, counts("control", 100, 7, date=date), counts("b", 100, 9, date=date))
    show(clean_page, f"{live_server.url}/dashboard/experiments/headline/data/", 1440, "light")

    clean_page.get_by_role("link", name="Sat, 30 Aug 2025: No data").click()
    for name in ("control", "b"):
        clean_page.get_by_label(f"Impressions, {name}").fill("100")
        clean_page.get_by_label(f"Clicks, {name}").fill("8")
    clean_page.get_by_role("button", name="Save the day").click()

    expect(clean_page.get_by_role("link", name="Sat, 30 Aug 2025: 200 impressions")).to_be_visible()
    assert DailyMetric.objects.filter(date=TODAY - 2 * DAY).count() == 2


def test_settings__save__is_within_reach_without_scrolling(clean_page: Page, live_server: Any) -> None:
    make_full()
    show(clean_page, f"{live_server.url}/dashboard/experiments/full/settings/", 1440, "light")

    expect(clean_page.get_by_role("button", name="Save settings")).to_be_in_viewport(ratio=1)


def test_tabs__a_hundred_variants_of_10_to_the_12__fit_and_are_accessible(
    clean_page: Page, live_server: Any
) -> None:
    names = ["control", *(f"variant {n}" for n in range(1, 100))]
    experiment = create_experiment(name="Hundred", variants=names, now=NOW)
    record(experiment, *(counts(name, 10**12, 10**11) for name in names))
    home = f"{live_server.url}/dashboard/experiments/hundred/"
    tabs = {tab: home + tab for tab in ("data/", "settings/", "history/", "integrate/")}

    assert violations_of_each(clean_page, tabs, violations_at_each_width) == {}


def test_calendar__on_a_telephone__begins_at_the_latest_week(clean_page: Page, live_server: Any) -> None:
    experiment = make_experiment(key="headline")
    for n in range(0, 170, 10):
        record(experiment, counts("control", 100, 5, date=TODAY - n * DAY))

    show(clean_page, f"{live_server.url}/dashboard/experiments/headline/data/", 390, "light")

    expect(clean_page.get_by_role("link", name="Mon, 1 Sep 2025")).to_be_in_viewport()
    expect(clean_page.locator(".calendar-weekdays")).to_be_in_viewport()


def test_hypothesis__cut_on_a_telephone__is_shown_whole_on_request(
    clean_page: Page, live_server: Any
) -> None:
    make_experiment(key="long", description=f"{'We believe in this. ' * 12}The end.")
    show(clean_page, f"{live_server.url}/dashboard/experiments/long/data/", 390, "light")
    text, more = clean_page.locator("#experiment-about"), clean_page.get_by_role("button", name="Show all")
    cut = text.bounding_box()

    more.click()

    whole = text.bounding_box()
    assert cut
    assert whole
    assert whole["height"] > 2 * cut["height"]
    expect(more).to_be_hidden()


def test_hypothesis__that_fits__has_no_button(clean_page: Page, live_server: Any) -> None:
    make_experiment(key="short", description="We believe in this.")
    make_experiment(key="long", description="We believe in this. " * 12)
    for key, width in (("short", 390), ("long", 1440)):
        show(clean_page, f"{live_server.url}/dashboard/experiments/{key}/data/", width, "light")

        expect(clean_page.locator("#experiment-about")).to_be_visible()
        expect(clean_page.locator(".experiment-more")).to_be_hidden()
