"""Fixtures for tests of real pages in the system's Chromium."""

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.test import override_settings
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

from experiments.roles import Role
from scripts.screenshots import BROWSER_ARGUMENTS
from tests.browser.axe import STATIC_AXE

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
    path = os.environ.get("CHROMIUM") or shutil.which("chromium-headless-shell") or shutil.which("chromium")
    with sync_playwright() as playwright:
        arguments = [*BROWSER_ARGUMENTS, *_FEW_PROCESSES, _FEW_THREADS]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def own_machine(settings: Any) -> None:
    """Ask for no login, and let a visitor do everything, as in DEBUG."""
    settings.DASHBOARD_LOGIN_REQUIRED, settings.DASHBOARD_VISITOR_ROLE = False, Role.ADMIN


@pytest.fixture(scope="module", autouse=True)
def axe_served() -> Iterator[None]:
    """Serve axe beside the service's own static files."""
    with override_settings(STATICFILES_DIRS=[*configured.STATICFILES_DIRS, STATIC_AXE]):
        yield


@pytest.fixture(scope="session")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """One profile for the pages of a test process: a new one would fetch and compile each script again."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def clean_page(profile: BrowserContext, live_server: Any) -> Iterator[Page]:
    """A page on which any console message, error or request to another host fails the test."""
    complaints: list[str] = []
    listeners: dict[str, Callable[[Any], None]] = {
        "console": lambda message: complaints.append(f"console: {message.text}"),
        "pageerror": lambda error: complaints.append(f"error: {error}"),
        "request": lambda request: _note_stranger(request.url, live_server.url, complaints),
    }
    with like_new(profile, live_server.url, listeners) as page:
        yield page
    assert complaints == []


@pytest.fixture
def page_with_refusals(profile: BrowserContext, live_server: Any) -> Iterator[Page]:
    """A page on which the server refuses something. The browser writes each 4xx to its console, so that is ignored."""
    with like_new(profile, live_server.url, {}) as page:
        yield page


@contextmanager
def like_new(
    profile: BrowserContext, origin: str, listeners: Mapping[str, Callable[[Any], None]]
) -> Iterator[Page]:
    """The profile's page, which knows nothing of the test before: to open a new one costs as much as to load two."""
    page = profile.pages[0] if profile.pages else profile.new_page()
    for event, listener in listeners.items():
        page.on(event, listener)  # type: ignore[call-overload]  # the caller names an event
    yield page
    try:
        _empty(page, origin)
    except Error:
        page.close()
        raise
    for event, listener in listeners.items():
        page.remove_listener(event, listener)


def _empty(page: Page, origin: str) -> None:
    """Leave the page, and remove what the service or a test has set or stored in its profile but for files."""
    for opened in page.context.pages[1:]:
        opened.close()
    page.unroute_all()
    page.goto(f"{origin}/health")
    page.evaluate("() => { sessionStorage.clear(); window.name = '' }")
    page.set_extra_http_headers({})
    page.set_viewport_size({"width": 1280, "height": 720})
    page.emulate_media(media="null", color_scheme="light", reduced_motion="no-preference")
    page.context.clear_cookies()
    page.context.clear_permissions()
    devtools = page.context.new_cdp_session(page)
    devtools.send("Page.resetNavigationHistory")
    devtools.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
    devtools.detach()


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
