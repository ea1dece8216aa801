"""The planner's page: the classical number by the formula, the service's from the production engine."""

import io
import json
import re
from typing import Any

import pytest
from django.core.management import call_command
from django.http import QueryDict
from django.test import Client

from allocation.lab.work import MOST_MICROSECONDS, together, work
from dashboard.lab.planner import PlannerForm, plan_of
from tests.dashboard.streams import messages_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("visitor")]

PAGE = "/dashboard/planner/"
QUICK = "base_rate=10&uplift=50&daily_traffic=400&variants=2&seed=5"


@pytest.fixture(autouse=True)
def whole_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one request compute what takes several, as only pages of one request have a context to look into."""
    monkeypatch.setattr("dashboard.lab.parts.SECONDS", 60)


def plan(query: str) -> Any:
    form = PlannerForm.of(QueryDict(query))
    assert form.is_valid(), form.errors
    return plan_of(form)


def test_planner__nothing_asked__answers_the_example_at_once(client: Client) -> None:
    page = client.get(PAGE)

    assert page.context["form"]["base_rate"].value() == "5"
    assert b"data-lab-starts" in page.content


def test_planner__five_to_six_percent__takes_8158_visits_each(client: Client) -> None:
    context = client.get(f"{PAGE}?base_rate=5&uplift=20&daily_traffic=1000&variants=2&whole=1").context

    assert context["classical"] == (8158, 16316, 17, 0.05)
    assert [answer.column.name for answer in context["answers"]] == ["Current", "Last 14 days only"]
    assert context["chart"].marks[0].at == 17


def test_planner__service__is_the_production_engine_that_stops(client: Client) -> None:
    asked = plan(QUICK)
    answer = client.get(f"{PAGE}?{QUICK}&whole=1").context["answers"][0]

    out = io.StringIO()
    options = ["--rates", "0.1,0.15", "--daily-traffic", "400", "--seed", "5", "--stop", "value-remaining"]
    size = ["--days", str(asked.days), "--runs", str(asked.runs), "--policies", "thompson"]
    call_command("simulate", *options, *size, "--json", stdout=out)
    command = json.loads(out.getvalue())["policies"]["thompson"]
    assert answer.found == command["best_in_front"]
    assert answer.stopped == command["stopped"]
    assert answer.median == command["stop_day_median"] == 14


def test_planner__the_same_address__the_same_page(client: Client) -> None:
    pages = [client.get(f"{PAGE}?{QUICK}&whole=1").content for _ in range(2)]
    first, second = (re.sub(rb'csrfmiddlewaretoken" value="\w+', b"", page) for page in pages)

    assert first == second
    *_progress, last = messages_of(client.get(f"{PAGE}run/?{QUICK}"))
    assert "".join(last["html"].split()) in "".join(first.decode().split())


def test_plan__more_variants__all_but_the_last_are_as_good_as_the_control() -> None:
    four = plan("base_rate=5&uplift=20&daily_traffic=5000&variants=4")

    assert four.rates == (0.05, 0.05, 0.05, pytest.approx(0.06))
    assert four.classical.alpha == pytest.approx(0.05 / 3)


@pytest.fixture
def few_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many runs as the words of a page need."""
    for name in ("_FEWEST_RUNS", "_MOST_RUNS"):
        monkeypatch.setattr(f"dashboard.lab.planner.{name}", 8)


@pytest.mark.usefixtures("few_runs")
def test_planner__not_decided_in_the_days_simulated__says_how_many(client: Client, settings: Any) -> None:
    settings.ALGORITHM_DEFAULTS = {**settings.ALGORITHM_DEFAULTS, "min_impressions": 10**9}

    page = client.get(f"{PAGE}?base_rate=4&uplift=5&daily_traffic=500&variants=2&whole=1")

    assert page.context["plan"].is_cut_short
    assert page.context["answers"][0].median is None
    assert b"more than 180 days" in page.content
    text = " ".join(page.content.decode().split())
    classical = page.context["classical"].days
    assert classical > 180
    assert f"0% decided within 180 days; a fixed-horizon test takes {classical} days" in text
    assert page.context["chart"].marks == []


def test_planner__small_test__ends_with_the_better_one_more_often_than_before(client: Client) -> None:
    query = "base_rate=5&uplift=20&daily_traffic=250&variants=2&seed=3&whole=1"

    installed, before = client.get(f"{PAGE}?{query}").context["answers"]

    assert installed.stopped > 0.9
    assert installed.found > before.found


@pytest.mark.usefixtures("few_runs")
def test_planner__hardly_any_traffic__is_not_feasible_and_warns_of_answers_by_chance(client: Client) -> None:
    page = client.get(f"{PAGE}?base_rate=1&uplift=10&daily_traffic=60&variants=2&whole=1")

    installed = page.context["answers"][0]
    assert installed.found < 0.8
    assert installed.is_shaky
    text = page.content.decode()
    assert "Too little data for a reliable answer" in text
    # longer than three years
    days = page.context["classical"].days
    assert days > 3 * 365
    assert "Not feasible" in text
    assert f"{days:,}" not in text


@pytest.mark.parametrize("variants", [2, 10])
@pytest.mark.parametrize("traffic", [1, 300, 10**9])
def test_plan__whatever_is_asked__stays_within_what_a_page_computes(variants: int, traffic: int) -> None:
    found = plan(f"variants={variants}&daily_traffic={traffic}")

    assert 28 <= found.days <= 180
    assert 20 <= found.runs <= 400
    each = (work(c.settings, variants, found.days, watch=True, stop=True) for c in found.columns)
    assert together(each).of(found.runs) <= 0.8 * MOST_MICROSECONDS


def test_plan__installed_as_before__is_one_column(settings: Any) -> None:
    before = {"window_days": 14, "memory": False, "dispersion": False, "beta_prior": 1.0}
    settings.ALGORITHM_DEFAULTS = {**settings.ALGORITHM_DEFAULTS, **before}

    assert [column.name for column in plan(QUICK).columns] == ["Current"]


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("base_rate=0", "base_rate", "greater than or equal to 0.01"),
        ("base_rate=x", "base_rate", "Enter a number"),
        ("base_rate=60&uplift=80", "uplift", "the better rate would reach 100%"),
        ("uplift=0.5", "uplift", "greater than or equal to 1"),
        ("variants=1", "variants", "greater than or equal to 2"),
        ("variants=11", "variants", "less than or equal to 10"),
        ("daily_traffic=", "daily_traffic", "This field is required"),
    ],
)
def test_planner__what_cannot_be_planned__is_refused_at_its_field(
    client: Client, query: str, field: str, words: str
) -> None:
    page = client.get(f"{PAGE}?{query}&whole=1")

    assert list(page.context["form"].errors) == [field]
    assert words in page.context["form"].errors[field][0]
    assert client.get(f"{PAGE}run/?{query}").status_code == 422


def test_planner__values_that_vary__take_so_many_times_the_visits(client: Client) -> None:
    query = "base_rate=1&uplift=30&daily_traffic=4000&variants=2"

    counted, valued = (client.get(f"{PAGE}?{query}{more}&whole=1").context for more in ("", "&value_cv=150"))

    ratio = valued["classical"].per_variant / counted["classical"].per_variant
    assert ratio == pytest.approx(1 + 1.5**2, rel=0.02)
    assert valued["answers"][0].median > counted["answers"][0].median
