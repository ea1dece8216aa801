"""Real pages in the system's Chromium."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.factory import allocate, make_experiment, make_running

# Playwright's synchronous interface runs an event loop in this thread, which Django takes for an async caller.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """``./dev test`` puts the browser's path into CHROMIUM."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        arguments = [*_QUIET, "--disable-component-update", "--disable-sync"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def some_experiments(transactional_db: None) -> None:
    allocate(make_running("Button colour"))
    make_experiment("A long name that has to wrap on a telephone without pushing anything off the page")


@pytest.fixture
def clean_page(browser: Browser, live_server: Any) -> Iterator[Page]:
    """A page on which any console message, error or request to another host fails the test."""
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("request", lambda request: _note_stranger(request.url, live_server.url, complaints))
    yield page
    page.close()
    assert complaints == []


def _note_stranger(url: str, home: str, complaints: list[str]) -> None:
    if not url.startswith((home, "data:")):
        complaints.append(f"request to another host: {url}")
