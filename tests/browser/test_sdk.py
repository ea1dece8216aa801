"""static/sdk/bandit.js in a real browser: on another origin than the service, as in shops."""

import datetime as dt
import gzip
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from bandit_project.models import ApiKey
from experiments.models import DailyMetric, Experiment
from experiments.selectors import today
from experiments.services import create_experiment
from tests.browser.conftest import other_origin
from tests.conftest import ROOT
from tests.factory import allocate

pytestmark = pytest.mark.django_db(transaction=True)

SDK = ROOT / "static/sdk/bandit.js"


@pytest.fixture
def site(settings: Any) -> Iterator[str]:
    """The origin of examples/page."""
    with other_origin(ROOT / "examples/page", settings) as origin:
        yield origin


@pytest.fixture
def shop(site: str, live_server: Any, settings: Any) -> str:
    """The address of the example page with its experiment and a key for browsers."""
    settings.API_KEY_REQUIRED = True
    create_experiment(name="Hero", variants=["control", "blue"], now=timezone.now())
    key = ApiKey.objects.create_key(name="shop", scope="serve")[1]
    return f"{site}/?service={live_server.url}&experiment=hero&key={key}&patience=20000"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A visitor's page: any error fails the test."""
    page = browser.new_page()
    page.context.route("**/static/sdk/bandit.js", _let_all_origins_in)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    # The browser itself writes each refusal to the console.
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []


def _let_all_origins_in(route: Any) -> None:
    """Answer as WhiteNoise does; Django's server for tests has its own static files."""
    route.fulfill(path=SDK, headers={"Content-Type": "text/javascript", "Access-Control-Allow-Origin": "*"})


def _counted() -> list[tuple[Any, ...]]:
    rows = DailyMetric.objects.filter(impressions__gt=0)
    return list(rows.values_list("date", "variant__key", "impressions", "clicks", "conversions", "value_sum"))


def _wait_for_counts(page: Page) -> None:
    """Wait until no batch is left to send."""
    page.wait_for_function("!Object.keys(localStorage).some((key) => key.startsWith('bandit:out:'))")


def _wait_for(condition: Any, page: Page) -> bool:
    for _ in range(600):
        if condition():
            return True
        page.wait_for_timeout(50)
    return False


def test_sdk__as_it_travels__is_one_file_below_four_kilobytes() -> None:
    assert len(gzip.compress(SDK.read_bytes(), 9)) < 4096
    assert b"import" not in SDK.read_bytes()


def test_assign__vectors_shared_with_the_service__are_met_in_the_browser(
    page: Page, live_server: Any
) -> None:
    vectors = json.loads((ROOT / "clients/vectors/assignment.json").read_text(encoding="utf-8"))
    page.goto(f"{live_server.url}/health")

    winners = page.evaluate(
        """async ({ vectors, sdk }) => {
          const { assign } = await import(sdk);
          const { prefixes } = vectors;
          const units = Array.from({ length: vectors.units }, (_, n) => prefixes[n % prefixes.length] + n);
          const winners = (key, shares) => units.map((unit) => assign(key, shares, unit)).join("\\n");
          return vectors.experiments.map(({ key, shares }) => winners(key, shares));
        }""",
        {"vectors": vectors, "sdk": f"{live_server.url}/static/sdk/bandit.js"},
    )

    digests = [hashlib.sha256(text.encode()).hexdigest() for text in winners]
    assert digests == [experiment["sha256"] for experiment in vectors["experiments"]]


def test_bandit__blank_unit_or_value_that_is_no_amount__throws_and_counts_nothing(
    page: Page, live_server: Any
) -> None:
    page.goto(f"{live_server.url}/health")

    refused = page.evaluate(
        """async ({ sdk, url }) => {
          const { createBandit } = await import(sdk);
          const said = (call) => { try { return String(call()); } catch ({ message }) { return message; } };
          const bandit = createBandit({ url, unit: "me" });
          const values = [-1, NaN, "much", 1e12].map((value) => said(() => bandit.conversion("hero", value)));
          const units = ["", " "].map((unit) => said(() => createBandit({ url, unit })));
          return [...new Set(units), ...new Set(values)];
        }""",
        {"sdk": f"{live_server.url}/static/sdk/bandit.js", "url": live_server.url},
    )

    assert refused == [
        "bandit: unit must not be blank; leave it out to have one made",
        "bandit: value must be an amount from 0 to 10^12",
    ]


def test_page__visitor_buys__counts_once_each_on_the_day_of_the_exposure(page: Page, shop: str) -> None:
    page.goto(shop)
    page.wait_for_selector("[data-hero]")
    variant = page.locator("body").get_attribute("data-hero")
    expect(page.get_by_text(f"You see the variant {variant}.")).to_be_visible()
    for _ in range(2):
        page.get_by_role("button", name="Buy").click()
        page.get_by_role("button", name="Pay").click()
    expect(page.get_by_text("Thank you.")).to_be_visible()
    page.goto("about:blank")  # leaves before the timer: the beacon takes the counts

    page.goto(shop)  # and comes back: nothing new
    page.wait_for_selector(f"[data-hero={variant}]")
    page.get_by_role("button", name="Buy").click()

    assert _wait_for(lambda: _counted() == [(today(), variant, 1, 1, 1, 12.5)], page), _counted()


def test_page__service_is_away__says_so_and_people_can_buy(page_with_refusals: Page, site: str) -> None:
    page = page_with_refusals
    page.goto(f"{site}/?service=http://127.0.0.1:9")

    expect(page.get_by_text("No variant: http://127.0.0.1:9 does not answer.")).to_be_visible()
    page.get_by_role("button", name="Buy").click()
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_text("Thank you.")).to_be_visible()


def test_visitor__sees_a_variant_and_buys__is_in_the_days_numbers_and_the_next_decision(
    page: Page, shop: str, live_server: Any, clean_page: Page
) -> None:
    page.goto(shop)
    page.wait_for_selector("[data-hero]")
    variant = page.locator("body").get_attribute("data-hero")
    page.get_by_role("button", name="Buy").click()
    page.get_by_role("button", name="Pay").click()
    assert _wait_for(lambda: [row[1:5] for row in _counted()] == [(variant, 1, 1, 1)], page)

    clean_page.goto(f"{live_server.url}/dashboard/experiments/{Experiment.objects.get().pk}/data/")
    assert variant is not None
    row = clean_page.get_by_role("row").filter(has_text=variant).first
    expect(row).to_contain_text("1")
    decision = allocate(Experiment.objects.get(), today() + dt.timedelta(days=1))

    seen = decision.shares.get(variant__key=variant)
    assert (seen.trials, seen.successes) == (1, 1)


def test_page__answer_is_lost__is_sent_again_and_counts_once(page: Page, shop: str, live_server: Any) -> None:
    url = f"{live_server.url}/api/v1/counts/"
    lost: list[Any] = []

    def lose(route: Any) -> None:
        if not lost:
            lost.append(route.fetch())
            route.fulfill(
                status=503, json={"code": "unavailable"}, headers={"Access-Control-Allow-Origin": "*"}
            )
        else:
            route.continue_()

    page.context.route(url, lose)
    page.goto(shop)
    with page.expect_request(url):
        page.wait_for_selector("[data-hero]")
    assert _wait_for(lambda: bool(lost), page)
    page.reload()
    _wait_for_counts(page)

    assert [row[2] for row in _counted()] == [1]


def test_page__batch_without_an_answer_for_a_day__is_dropped_and_a_younger_one_sent(
    page: Page, shop: str, live_server: Any
) -> None:
    sent: list[str] = []
    page.on("request", lambda asked: sent.append(f"{asked.post_data}"))
    page.goto(shop.partition("?")[0] + "nothing")  # a page of this origin without the module
    page.evaluate(
        """() => [23.1, 22.9].forEach((hours, n) => {
          const batch = { idempotency_key: "b" + hours, increments: [] };
          localStorage["bandit:out:" + Math.round(Date.now() - hours * 36e5) + "-" + n] = JSON.stringify(batch);
        })"""
    )

    page.goto(shop)

    assert _wait_for(lambda: any("b22.9" in body for body in sent), page)
    assert not [body for body in sent if "b23.1" in body]
    assert "b23.1" not in page.evaluate("JSON.stringify(localStorage)")


def test_page__service_is_gone__shows_the_control_and_counts_nothing(browser: Browser, site: str) -> None:
    page = browser.new_page()

    page.goto(f"{site}/?service=http://127.0.0.1:9")

    expect(page.get_by_role("button", name="Buy")).to_be_visible()
    assert page.evaluate("Object.keys(localStorage)") == []
    page.close()


def test_page__shares_move_on_the_same_day__keeps_what_the_visitor_saw(page: Page, shop: str) -> None:
    page.goto(shop)
    page.wait_for_selector("[data-hero]")
    variant = page.locator("body").get_attribute("data-hero")
    other = Experiment.objects.get().variants.exclude(key=variant).get()
    page.evaluate(
        """(other) => {
          const rules = JSON.parse(localStorage["bandit:rules"]);
          rules.experiments[0].shares = { control: 1, blue: 1, [other]: 9999 };
          localStorage["bandit:rules"] = JSON.stringify(rules);
        }""",
        other.key,
    )

    page.reload()

    page.wait_for_selector(f"[data-hero={variant}]")
