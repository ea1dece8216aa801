from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.usefixtures("some_experiments")

WIDTHS = (1440, 390)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_experiments_page__each_width_and_theme__shows_splits_and_fits(
    clean_page: Page, live_server: Any, width: int, scheme: Any
) -> None:
    clean_page.set_viewport_size({"width": width, "height": 900})
    clean_page.emulate_media(color_scheme=scheme)

    clean_page.goto(f"{live_server.url}/")

    expect(clean_page).to_have_url(f"{live_server.url}/dashboard/")
    expect(
        clean_page.get_by_role("img", name="Traffic split: control 30.0%, variant_b 70.0%")
    ).to_be_visible()
    expect(clean_page.locator("html")).to_have_attribute("data-bs-theme", scheme)
    assert clean_page.evaluate("document.documentElement.scrollWidth") == width


def test_docs_page__offline__lists_the_calls(clean_page: Page, live_server: Any) -> None:
    clean_page.goto(f"{live_server.url}/docs")

    expect(clean_page.get_by_text("/upload-data")).to_be_visible(timeout=15_000)
