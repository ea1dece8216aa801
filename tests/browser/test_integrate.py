"""The code that Integrate shows for browsers, run in one, on another origin than the service; and the page itself."""

import functools
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from bandit_project.administration.keys import create_key
from bandit_project.models import Scope
from dashboard.experiment.integrate.snippets import filled_ways
from experiments.models import DailyMetric, Experiment
from experiments.selectors import today
from experiments.services import create_experiment
from tests.browser.accessibility import show, violations_at_each_width
from tests.conftest import ROOT

pytestmark = pytest.mark.django_db(transaction=True)

_AWKWARD = """b'l"u\\e </script> ação"""
_PACKAGES = ("@openfeature/web-sdk", "@openfeature/ofrep-web-provider")


class _Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


class Site(NamedTuple):
    """The shop: another origin than the service, with the files of a folder."""

    origin: str
    folder: Path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    shutil.copy(ROOT / "tests/browser/vendor/openfeature.js", tmp_path)
    handler = functools.partial(_Files, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Site(f"http://127.0.0.1:{server.server_port}", tmp_path)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def hero(settings: Any, site: Site) -> Experiment:
    settings.API_KEY_REQUIRED, settings.CORS_ALLOWED_ORIGINS = True, [site.origin]
    return create_experiment(name="Hero", variants=["control", _AWKWARD], now=timezone.now())


def _snippet(experiment: Experiment, name: str, home: str) -> str:
    _key, secret = create_key(name="shop", scope=Scope.SERVE, days=None, now=timezone.now())
    ways = filled_ways(experiment, url=home, today=today(), secret=secret, scope=Scope.SERVE)
    (text,) = (s.text for way in ways for s in way.snippets if s.recipe.name == name)
    return text


def _open(browser: Browser, site: "Site", html: str) -> Page:
    """A page of the shop; bandit.js is sent as WhiteNoise does, so that all origins may load it."""
    site.folder.joinpath("index.html").write_text(html, encoding="utf-8")
    page = browser.new_page()
    page.route(
        "**/static/sdk/bandit.js",
        lambda route: route.fulfill(
            path=ROOT / "static/sdk/bandit.js",
            headers={"Content-Type": "text/javascript", "Access-Control-Allow-Origin": "*"},
        ),
    )
    page.goto(f"{site.origin}/index.html")
    return page


def _counted() -> list[tuple[Any, ...]]:
    rows = DailyMetric.objects.filter(impressions__gt=0)
    return list(rows.values_list("variant__key", "impressions", "clicks"))


def test_snippet__javascript__shows_the_variant_and_counts_the_click(
    browser: Browser, live_server: Any, hero: Experiment, site: Site
) -> None:
    text = _snippet(hero, "page.html", live_server.url)
    # a visitor is shown the fallback after half a second; a busy machine takes longer
    text = text.replace("createBandit({", "createBandit({ timeout: 20_000,")

    page = _open(
        browser, site, f"<!DOCTYPE html><meta charset=utf-8><title>Shop</title><body><p>Buy</p>{text}"
    )
    page.wait_for_function("document.body.dataset.variant")
    page.get_by_text("Buy").click()
    shown = page.evaluate("document.body.dataset.variant")
    page.wait_for_function("!Object.keys(localStorage).some((key) => key.startsWith('bandit:out:'))")
    for _ in range(600):
        if _counted() == [(shown, 1, 1)]:
            break
        page.wait_for_timeout(50)

    assert shown in {"control", _AWKWARD}
    assert _counted() == [(shown, 1, 1)]
    page.close()


def test_snippet__openfeature__gets_the_variant_from_the_service(
    browser: Browser, live_server: Any, hero: Experiment, site: Site
) -> None:
    text = _snippet(hero, "openfeature.js", live_server.url).replace('"control"', '"fallback"')
    imports = json.dumps({"imports": dict.fromkeys(_PACKAGES, "/openfeature.js")})

    page = _open(
        browser,
        site,
        f'<!DOCTYPE html><meta charset=utf-8><title>Shop</title><script type="importmap">{imports}</script>'
        f'<script type="module">{text}\ndocument.body.dataset.variant = variant;</script>',
    )
    page.wait_for_function("document.body.dataset.variant")

    assert page.evaluate("document.body.dataset.variant") in {"control", _AWKWARD}
    page.close()


def test_page__copy__puts_the_code_on_the_clipboard(
    clean_page: Page, live_server: Any, hero: Experiment
) -> None:
    clean_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    clean_page.goto(f"{live_server.url}/dashboard/experiments/hero/integrate/")

    clean_page.get_by_role("button", name="Copy curl: Get a variant").click()
    expect(clean_page.get_by_text("Copied")).to_be_visible()

    assert clean_page.evaluate("navigator.clipboard.readText()").startswith("curl -sS --fail-with-body ")


@pytest.mark.parametrize("language", ["en", "pt-br"])
def test_page__with_a_key_and_a_name_of_120_characters__fits_and_is_accessible(
    clean_page: Page, live_server: Any, settings: Any, language: str
) -> None:
    settings.LANGUAGE_CODE = language
    clean_page.context.add_cookies([{"name": "django_language", "value": language, "url": live_server.url}])
    names = ["control", *(f"{n} {'Supercalifragilistic' * 6}"[:120] for n in range(11))]
    create_experiment(name="N" * 120, variants=names, now=timezone.now())
    key = Experiment.objects.get().key
    show(clean_page, f"{live_server.url}/dashboard/experiments/{key}/integrate/", 390, "light")

    clean_page.locator("button[value=serve]").click()
    expect(clean_page.locator("#secret")).to_be_visible()

    assert violations_at_each_width(clean_page) == []
