"""OpenFeature's own SDK and OFREP provider for browsers, in Chromium against the running server, on another origin.

They are clients that are not ours: tests/browser/vendor says which.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from allocation.engine.assignment import assign
from allocation.services import complete_experiment
from bandit_project.models import ApiKey
from experiments.models import Experiment
from experiments.selectors import today
from tests.browser.conftest import other_origin
from tests.conftest import ROOT
from tests.factory import NOW, allocate, counts, make_experiment, record, shares_of

pytestmark = pytest.mark.django_db(transaction=True)

BUNDLE = ROOT / "tests/browser/vendor/openfeature.js"
_BULK = "/ofrep/v1/evaluate/flags"

# What every test calls in the page: a client of a fresh provider, and a flag as the SDK resolves it.
_SETUP = """async ({ url, key, visitor, options }) => {
  const { OFREPApi, OFREPWebProvider, OpenFeature, ProviderEvents } = await import("/openfeature.js");
  window.OpenFeature = OpenFeature;
  window.events = [];
  window.api = new OFREPApi({ baseUrl: url, headers: [["X-API-Key", key]] });
  window.resolved = (flag) => OpenFeature.getClient().getStringDetails(flag, "fallback");
  for (const event of Object.values(ProviderEvents)) OpenFeature.addHandler(event, () => events.push(event));
  await OpenFeature.setContext(visitor);
  const provider = new OFREPWebProvider({ baseUrl: url, headers: [["X-API-Key", key]], ...options });
  try { await OpenFeature.setProviderAndWait(provider); } catch (error) { return error.code; }
}"""
_RESOLVED = "(flag) => resolved(flag)"
_MOVE_TO = "(visitor) => OpenFeature.setContext(visitor)"


@pytest.fixture
def running() -> Experiment:
    experiment = make_experiment("Hero", status="active")
    record(
        experiment,
        counts("control", 10_000, 700, date=today()),
        counts("blue", 10_000, 950, date=today()),
        today=today(),
    )
    allocate(experiment, today())
    return experiment


class _Shop:
    """A page of another origin, with what it asked of the service: (path, status)."""

    def __init__(self, page: Page, url: str, key: str) -> None:
        self.page, self._url, self._key = page, url, key
        self.answers: list[tuple[str, int]] = []
        page.on("response", lambda answer: self._note(answer.request.method, answer.url, answer.status))

    def _note(self, method: str, url: str, status: int) -> None:
        if method == "POST":
            self.answers.append((url.removeprefix(self._url), status))

    def start(self, visitor: dict[str, Any], key: str | None = None, **options: Any) -> Any:
        """Set a provider; the code of the error with which that failed."""
        given = {"url": self._url, "key": key or self._key, "visitor": visitor, "options": options}
        return self.page.evaluate(_SETUP, given)

    def resolved(self, flag: str) -> Any:
        return self.page.evaluate(_RESOLVED, flag)

    def move_to(self, visitor: dict[str, Any]) -> None:
        self.page.evaluate(_MOVE_TO, visitor)

    def bulk(self, context: dict[str, Any]) -> Any:
        call = "(context) => api.postBulkEvaluateFlags({ context }).then(({ value }) => value)"
        return self.page.evaluate(call, context)

    def single(self, flag: str, context: dict[str, Any]) -> Any:
        call = "([flag, context]) => api.postEvaluateFlag(flag, { context }).then(({ value }) => value)"
        return self.page.evaluate(call, [flag, context])


@pytest.fixture
def shop(browser: Browser, live_server: Any, settings: Any) -> Iterator[_Shop]:
    settings.API_KEY_REQUIRED = True
    page = browser.new_page()
    with other_origin(BUNDLE.parent, settings) as origin:
        page.goto(origin)
        yield _Shop(page, live_server.url, ApiKey.objects.create_key(name="shop", scope="serve")[1])
        page.close()


def _visitor(number: int, **more: Any) -> dict[str, Any]:
    return {"targetingKey": f"visitor-{number}", **more}


def _variant_of(experiment: Experiment, number: int) -> str:
    shares = shares_of(experiment.allocations.latest("pk"))
    return assign(experiment.key, shares, f"visitor-{number}")


def test_bundle__is_the_one_that_its_readme_describes() -> None:
    readme = BUNDLE.with_name("README.md").read_text()

    assert re.findall(r"`([0-9a-f]{64})`", readme) == [hashlib.sha256(BUNDLE.read_bytes()).hexdigest()]


def test_openfeature_web__active_experiment__resolves_the_assigned_variant(
    shop: _Shop, running: Experiment
) -> None:
    shop.start(_visitor(42))

    found = shop.resolved("hero")

    variant = _variant_of(running, 42)
    assert (found["value"], found["variant"], found["reason"]) == (variant, variant, "SPLIT")
    metadata = found["flagMetadata"]
    assert metadata["experiment"] == "hero"
    assert metadata["share"] == shares_of(running.allocations.get())[variant]
    assert shop.answers == [(_BULK, 200)]


def test_openfeature_web__single_evaluation__is_the_one_of_the_bulk(shop: _Shop, running: Experiment) -> None:
    shop.start(_visitor(42))

    single = shop.single("hero", _visitor(42))

    assert single["value"] == shop.resolved("hero")["value"]
    assert single["reason"] == "SPLIT"
    assert shop.answers[-1] == (f"{_BULK}/hero", 200)


def test_openfeature_web__nothing_has_changed__is_answered_304_and_stays(
    shop: _Shop, running: Experiment
) -> None:
    shop.start(_visitor(42), cacheMode="disabled")
    before = shop.resolved("hero")

    shop.move_to(_visitor(42, page="basket"))

    assert shop.answers == [(_BULK, 200), (_BULK, 304)]
    assert shop.resolved("hero")["value"] == before["value"]


def test_openfeature_web__experiment_was_decided__is_seen_at_the_next_evaluation(
    shop: _Shop, running: Experiment
) -> None:
    shop.start(_visitor(42), cacheMode="disabled")
    blue = running.variants.get(key="blue")

    complete_experiment(experiment_id=running.pk, winner_id=blue.pk, target_date=today(), now=NOW)
    shop.move_to(_visitor(42, page="basket"))

    found = shop.resolved("hero")
    assert shop.answers == [(_BULK, 200), (_BULK, 200)]
    assert (found["value"], found["reason"]) == ("blue", "STATIC")


def test_openfeature_web__another_targeting_key__is_another_visitor(shop: _Shop, running: Experiment) -> None:
    other = next(n for n in range(100) if _variant_of(running, n) != _variant_of(running, 42))
    shop.start(_visitor(42), cacheMode="disabled")

    shop.move_to(_visitor(other))

    # the ETag of one visitor is not that of another
    assert shop.answers == [(_BULK, 200), (_BULK, 200)]
    assert shop.resolved("hero")["value"] == _variant_of(running, other)


def test_openfeature_web__page_is_opened_again__starts_from_its_own_copy_and_asks_with_the_etag(
    shop: _Shop, running: Experiment
) -> None:
    shop.start(_visitor(42))
    variant = shop.resolved("hero")["value"]
    shop.page.reload()
    shop.answers.clear()

    with shop.page.expect_response(lambda answer: answer.status == 304):
        shop.start(_visitor(42))

    assert shop.resolved("hero")["value"] == variant


def test_openfeature_web__flag_that_there_is_not__falls_back_with_the_code(
    shop: _Shop, running: Experiment
) -> None:
    shop.start(_visitor(42))

    found = shop.resolved("unknown")

    assert (found["value"], found["reason"], found["errorCode"]) == ("fallback", "ERROR", "FLAG_NOT_FOUND")
    single = shop.single("unknown", _visitor(42))
    assert (single["key"], single["errorCode"]) == ("unknown", "FLAG_NOT_FOUND")


@pytest.mark.parametrize(
    ("visitor", "code"),
    [
        ({"country": "pt"}, "TARGETING_KEY_MISSING"),
        ({"targetingKey": "x" * 256}, "INVALID_CONTEXT"),
    ],
)
def test_openfeature_web__visitor_without_a_usable_key__has_the_protocols_code(
    shop: _Shop, running: Experiment, visitor: dict[str, Any], code: str
) -> None:
    # this provider names every refusal of a bulk GENERAL; the code is in the answer
    assert shop.start(visitor) == "GENERAL"
    assert shop.resolved("hero")["value"] == "fallback"
    bulk, single = shop.bulk(visitor), shop.single("hero", visitor)
    assert (bulk["errorCode"], single["key"], single["errorCode"]) == (code, "hero", code)
    assert bulk["errorDetails"] == single["errorDetails"]
    assert {status for _path, status in shop.answers} == {400}


def test_openfeature_web__value_of_another_type__is_a_type_mismatch(shop: _Shop, running: Experiment) -> None:
    shop.start(_visitor(42))

    found = shop.page.evaluate("() => OpenFeature.getClient().getBooleanDetails('hero', false)")

    assert (found["value"], found["errorCode"]) == (False, "TYPE_MISMATCH")


def test_openfeature_web__wrong_key__is_fatal(shop: _Shop, running: Experiment) -> None:
    assert shop.start(_visitor(42), key="wrong.wrong") == "PROVIDER_FATAL"
    assert shop.answers == [(_BULK, 401)]


def test_openfeature_web__throttled__waits_as_asked(shop: _Shop, running: Experiment, settings: Any) -> None:
    settings.THROTTLE_RATES = {"read": "1/hour", "write": None}
    shop.start(_visitor(42), cacheMode="disabled")

    shop.move_to(_visitor(42, page="basket"))
    shop.move_to(_visitor(42, page="cash desk"))

    # refused once; then it reads Retry-After, which CORS lets it see, and asks no more
    assert shop.answers == [(_BULK, 200), (_BULK, 429)]
    assert "PROVIDER_STALE" in shop.page.evaluate("() => events")
