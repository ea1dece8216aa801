"""Fixtures for tests of real pages in the system's Chromium."""

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from experiments.roles import Role
from scripts.screenshots import BROWSER_ARGUMENTS

# Playwright's synchronous interface runs an event loop in this thread, which Django takes for an async caller.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

# A process for each page and one in advance protect a person's other sites; here they are a third of the work.
_FEW_PROCESSES = ("--renderer-process-limit=1", "--process-per-site", "--disable-site-isolation-trials")
# Other threads that look for garbage cost a tenth more than they save where the test processes keep every core busy.
_FEW_THREADS = "--js-flags=--single-threaded-gc"

# What is expected may come late on a busy machine; five seconds are the default.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests of a process. ``./dev test`` puts its path into CHROMIUM."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        arguments = [*BROWSER_ARGUMENTS, *_FEW_PROCESSES, _FEW_THREADS]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def own_machine(settings: Any) -> None:
    """Ask for no login, and let a visitor do everything, as in DEBUG."""
    settings.DASHBOARD_LOGIN_REQUIRED, settings.DASHBOARD_VISITOR_ROLE = False, Role.ADMIN


@pytest.fixture(scope="session")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """One profile for the clean pages of a test process: a new one would fetch and compile each script again."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def clean_page(profile: BrowserContext, live_server: Any) -> Iterator[Page]:
    """A page on which any console message, error or request to another host fails the test.

    Its profile is empty but for the files that the browser may keep.
    """
    page = profile.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("request", lambda request: _note_stranger(request.url, live_server.url, complaints))
    yield page
    _empty(page, live_server.url)
    page.close()
    assert complaints == []


def _empty(page: Page, origin: str) -> None:
    """Remove from a page's profile what the service or a test has stored there."""
    page.context.clear_cookies()
    page.context.clear_permissions()
    devtools = page.context.new_cdp_session(page)
    devtools.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
    devtools.detach()


@pytest.fixture
def page_with_refusals(browser: Browser) -> Iterator[Page]:
    """A page on which the server refuses something. The browser writes each 4xx to its console, so that is ignored."""
    page = browser.new_page()
    yield page
    page.close()


class _Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def other_origin(folder: Path, settings: Any) -> Iterator[str]:
    """Serve a folder on an origin of its own, which the service lets in."""
    handler = functools.partial(_Files, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    origin = f"http://127.0.0.1:{server.server_port}"
    settings.CORS_ALLOWED_ORIGINS = [origin]
    yield origin
    server.shutdown()
    thread.join()
    server.server_close()


def _note_stranger(url: str, home: str, complaints: list[str]) -> None:
    if not url.startswith((home, "data:")):
        complaints.append(f"request to another host: {url}")
