"""People fill in the forms in a real browser, on a desk and on a telephone, and the console stays empty."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, expect

from experiments.models import DailyMetric, Experiment, Status
from experiments.selectors import today
from experiments.tables.uploads import MAX_UPLOAD_BYTES
from tests.browser.accessibility import violations_in_each_layout, violations_of_each
from tests.factory import counts, make_experiment, record

ONCE = ": count at most one for each impression, on the impression's day"

# A day that ends between two steps would be another day on the page.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("today")]

HEADER = "experiment_id,date,variant_name,impressions,clicks,conversions\n"


@pytest.fixture(params=[1440, 390])
def page(request: Any, clean_page: Page) -> Iterator[Page]:
    """A page at either width. The last one a test leads to must fit."""
    clean_page.set_viewport_size({"width": request.param, "height": 900})
    yield clean_page
    assert clean_page.evaluate("document.documentElement.scrollWidth") == request.param


@pytest.fixture
def running(transactional_db: None) -> Experiment:
    experiment = make_experiment()
    record(experiment, counts("control", 10000, 700, date=today()), today=today())
    record(experiment, counts("variant_b", 10000, 950, date=today()), today=today())
    return experiment


def _url(live_server: Any, path: str) -> str:
    return f"{live_server.url}/dashboard/experiments/{path}"


def _csv(text: str) -> FilePayload:
    return {"name": "totals.csv", "mimeType": "text/csv", "buffer": text.encode()}


def test_new_experiment__with_a_mistake_corrected__is_created_and_started(
    page: Page, live_server: Any
) -> None:
    page.goto(f"{live_server.url}/dashboard/")
    page.get_by_role("link", name="Create an experiment").last.click()

    page.get_by_label("Name", exact=True).fill("Button colour")
    page.get_by_role("button", name="Add a variant").click()
    page.get_by_label("Name of the variant").nth(2).fill("blue")
    page.get_by_role("radio", name="Control").nth(1).check()
    expect(page.get_by_text("For 3 variants:")).to_be_visible()

    page.locator("summary", has_text="Limits").click()
    floor = page.get_by_label("Minimum control share")
    floor.fill("70")
    expect(page.locator(".field-error:visible")).to_have_text(["Out of range. From 0% to 50%."])
    expect(floor).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("Please fix:")).to_be_visible()
    floor.fill("20")
    expect(page.locator(".field-error:visible")).to_have_count(0)
    expect(page.get_by_text("The control never gets less than 20.0%.")).to_be_visible()

    page.get_by_role("button", name="Start experiment").click()
    expect(page.get_by_text("Started. Add the first day here")).to_be_visible()
    made = Experiment.objects.get()
    assert (made.status, made.control_floor) == (Status.ACTIVE, 0.2)
    variants = list(made.variants.order_by("id").values_list("name", "is_control"))
    assert variants == [("control", False), ("variant_b", True), ("blue", False)]


def test_new_experiment__refused__leads_to_the_first_field_and_loses_nothing(
    page: Page, live_server: Any
) -> None:
    page.goto(_url(live_server, "new/"))

    page.get_by_label("Name of the variant").nth(1).fill("control")
    page.locator("summary", has_text="Limits").click()
    page.get_by_label("Maximum daily change").fill("5")
    page.get_by_role("button", name="Save as a draft").click()

    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    expect(page.get_by_label("Name", exact=True)).to_have_accessible_description(
        re.compile("This field is required.")
    )
    expect(page.get_by_label("Maximum daily change")).to_have_value("5")


def test_new_experiment__enter_in_a_field__saves_a_draft(page: Page, live_server: Any) -> None:
    page.goto(_url(live_server, "new/"))

    page.get_by_label("Name", exact=True).fill("Button colour")
    page.get_by_label("Name", exact=True).press("Enter")

    expect(page.get_by_text("Saved as a draft.")).to_be_visible()
    assert Experiment.objects.get().status == Status.DRAFT


def test_upload__file_too_large__is_not_even_sent(
    page: Page, live_server: Any, running: Experiment, tmp_path: Path
) -> None:
    # The browser opens a file on the disk itself; the bytes of another one would travel to it through two processes.
    (tmp_path / "totals.csv").write_bytes(b"x" * (MAX_UPLOAD_BYTES + 1))
    page.goto(_url(live_server, f"{running.key}/data/upload/"))

    page.get_by_label("File", exact=True).set_input_files(tmp_path / "totals.csv")
    page.get_by_role("button", name="Preview changes").click()

    said = "At most 8 MB. Split the file, or ask an administrator to load it."
    expect(page.locator(".field-error:visible")).to_have_text([said])
    expect(page.get_by_label("File", exact=True)).to_be_focused()


def test_new_experiment__campaign__is_asked_for_and_accessible(clean_page: Page, live_server: Any) -> None:
    clean_page.goto(_url(live_server, "new/"))
    clean_page.get_by_text("Campaign", exact=True).click()
    expect(clean_page.get_by_label("Owner")).to_be_visible()

    assert violations_in_each_layout(clean_page) == []


def test_variant__taken_away__passes_the_control_on(page: Page, live_server: Any) -> None:
    page.goto(_url(live_server, "new/"))

    page.get_by_role("button", name="Remove this variant").nth(0).click()

    expect(page.get_by_label("Name of the variant")).to_have_count(1)
    expect(page.get_by_role("radio", name="Control")).to_be_checked()
    expect(page.get_by_text("A single variant gets all traffic.")).to_be_visible()


def test_day__edited_in_place__is_refused_then_saved(
    page: Page, live_server: Any, running: Experiment
) -> None:
    page.goto(_url(live_server, f"{running.key}/data/"))

    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Impressions, control")).to_be_focused()
    expect(page).to_have_url(re.compile("/data/$"))
    page.get_by_label("Clicks, control").fill("20000")
    page.get_by_label("Clicks, control").press("Enter")

    clicks = page.get_by_label("Clicks, control")
    expect(clicks).to_be_focused()
    expect(clicks).to_have_accessible_description("Clicks (20000) must not exceed impressions (10000)" + ONCE)
    clicks.fill("710")
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_text("control clicks 700 → 710")).to_be_visible()
    assert DailyMetric.objects.get(variant__name="control").clicks == 710
    page.locator(".alert").get_by_role("button", name="Update allocation").click()
    expect(page.get_by_text("Allocation updated with the latest data.")).to_be_visible()


def test_day__edit_left_with_escape__is_as_it_was(page: Page, live_server: Any, running: Experiment) -> None:
    page.goto(_url(live_server, f"{running.key}/data/"))

    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Clicks, control").fill("1")
    page.keyboard.press("Escape")

    expect(page.get_by_role("link", name="Edit")).to_be_focused()
    expect(page.get_by_text("700", exact=True)).to_be_visible()


def test_upload__previewed__is_recorded_once_confirmed(
    page: Page, live_server: Any, running: Experiment
) -> None:
    text = HEADER + f"{running.key},{today()},control,10000,710,0\n{running.key},{today()},variant_b,1,2,0\n"
    page.goto(_url(live_server, f"{running.key}/data/"))
    page.get_by_role("link", name="Upload CSV").click()

    page.get_by_label("File", exact=True).set_input_files(_csv(text))
    page.get_by_role("button", name="Preview changes").click()
    expect(page.get_by_role("heading", name="What totals.csv would change")).to_be_visible()
    expect(page.get_by_text("Clicks (2) must not exceed impressions (1)" + ONCE)).to_be_visible()
    assert DailyMetric.objects.get(variant__name="control").clicks == 700

    page.get_by_role("button", name="Record the good rows, leave out the refused").click()
    expect(page.get_by_text("Recorded 1 row.")).to_be_visible()
    assert DailyMetric.objects.get(variant__name="control").clicks == 710


def test_delete__asks_with_the_name__and_begins_on_the_harmless_answer(
    page: Page, live_server: Any, running: Experiment
) -> None:
    page.goto(_url(live_server, f"{running.key}/settings/"))

    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("dialog", name="Delete “Button colour”?")).to_be_visible()
    expect(page.get_by_role("heading", name="Delete “Button colour”?")).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.get_by_role("button", name="Delete permanently").click()

    expect(page.get_by_text("Deleted Button colour")).to_be_visible()
    assert not Experiment.objects.exists()


def test_forms__each_width_and_theme__break_no_rule_of_wcag(
    clean_page: Page, live_server: Any, running: Experiment
) -> None:
    make_experiment("Over", status=Status.COMPLETED)
    paths = [
        "new/",
        *(f"button-colour/{tab}" for tab in ("settings/", "data/", "data/day/", "data/upload/")),
        "over/settings/",
        "over/data/",
    ]
    forms = {path: _url(live_server, path) for path in paths}

    assert violations_of_each(clean_page, forms, violations_in_each_layout) == {}


def test_day__refused_then_saved__breaks_no_rule_of_wcag(
    clean_page: Page, live_server: Any, running: Experiment
) -> None:
    clean_page.goto(_url(live_server, f"{running.key}/data/"))
    clean_page.get_by_role("link", name="Edit").click()
    clean_page.get_by_label("Clicks, control").fill("20000")
    clean_page.get_by_role("button", name="Save", exact=True).click()
    expect(clean_page.get_by_text("Not saved")).to_be_visible()
    assert violations_in_each_layout(clean_page) == []

    clean_page.get_by_label("Clicks, control").fill("710")
    clean_page.get_by_role("button", name="Save", exact=True).click()
    expect(clean_page.locator(".alert").get_by_text("Update allocation")).to_be_visible()
    assert violations_in_each_layout(clean_page) == []


def test_upload__its_preview__breaks_no_rule_of_wcag(
    clean_page: Page, live_server: Any, running: Experiment
) -> None:
    text = HEADER + f"{running.key},{today()},c,9,7,0\n{running.key},{today()},control,9,8,0\nx,x,x,1,2,0\n"
    clean_page.goto(_url(live_server, f"{running.key}/data/upload/"))

    clean_page.get_by_label("File", exact=True).set_input_files(_csv(text))
    clean_page.get_by_role("button", name="Preview changes").click()
    expect(clean_page.get_by_text("New variants would be created")).to_be_visible()

    assert violations_in_each_layout(clean_page) == []


def test_settings__open_and_refused__break_no_rule_of_wcag(
    clean_page: Page, live_server: Any, running: Experiment
) -> None:
    clean_page.goto(_url(live_server, f"{running.key}/settings/"))
    clean_page.locator("summary", has_text="For experts").click()
    clean_page.locator("summary", has_text="Limits").click()
    clean_page.get_by_text("Rename").first.click()
    clean_page.get_by_label("Minimum control share").fill("70")
    expect(clean_page.get_by_text("Please fix:")).to_be_visible()

    clean_page.get_by_role("button", name="Save settings").click()
    expect(clean_page.get_by_text("Not saved")).to_be_visible()

    assert violations_in_each_layout(clean_page) == []
