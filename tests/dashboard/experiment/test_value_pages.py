"""Pages of an experiment whose goal is a value: money, not percent."""

import re

import pytest
from django.test import Client
from django.utils import translation

from experiments.metrics import Reward
from experiments.models import DailyMetric, Experiment
from experiments.tables.number_fields import SquaresField
from tests.allocation.test_values import make_shop
from tests.dashboard.clients import client_of
from tests.factory import TODAY, allocate, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("visitor", "today")]

TABS = ("results", "explore", "traffic", "data")


def page(client: Client, experiment: Experiment, tab: str) -> str:
    path = "" if tab == "results" else f"{tab}/"
    response = client.get(f"/dashboard/experiments/{experiment.key}/{path}")
    assert response.status_code == 200
    return re.sub(r"\s+", " ", response.content.decode())


@pytest.fixture
def shop() -> Experiment:
    experiment = make_shop(currency="EUR")
    allocate(experiment)
    return experiment


@pytest.mark.parametrize("reward", [Reward.VALUE_PER_IMPRESSION, Reward.VALUE_PER_CLICK])
@pytest.mark.parametrize("tab", TABS)
def test_tabs__values__are_shown(client: Client, reward: Reward, tab: str) -> None:
    experiment = make_shop(reward)
    allocate(experiment)

    assert "Shop" in page(client, experiment, tab)


def test_results_and_traffic__values__are_money_with_the_currency(client: Client, shop: Experiment) -> None:
    results, traffic = page(client, shop, "results"), page(client, shop, "traffic")

    assert re.search(r"2\.\d\d EUR<small>\d\.\d\d – \d\.\d\d</small>", results)
    assert "Extra EUR vs even split" in results
    assert re.search(r"Gamma\([\d,.]+; [\d,.]+\)", traffic)
    assert "Beta(" not in traffic
    observed = r"8\d,\d{3}\.\d\d EUR<small>of 40,000</small>"
    assert all(re.search(observed, text) for text in (results, traffic))


def test_explore__values__have_charts_in_money(client: Client, shop: Experiment) -> None:
    context = client.get(f"/dashboard/experiments/{shop.key}/explore/").context

    _lift, rates, densities = context["charts"]
    assert (rates.unit, rates.y_title) == ("number", "Value per impression, EUR")
    assert rates.series[1].low[-1] < rates.series[1].values[-1] < rates.series[1].high[-1]
    assert 1 < densities.x[0] < 2 < densities.x[-1] < 3
    area = sum(densities.series[1].values) * (densities.x[1] - densities.x[0])
    assert area == pytest.approx(1, abs=0.02)
    assert "daily-value_sum" in [chart.id for chart in context["count_charts"]]


def test_list__values_beside_counts__are_shown(client: Client, shop: Experiment) -> None:
    allocate(make_running(), TODAY)

    text = client.get("/dashboard/").content.decode()

    assert re.search(r"</strong>\s+EUR", text)
    assert re.search(r"</strong>\s+clicks", text)


@pytest.mark.parametrize(
    ("language", "shown", "typed", "stored"),
    [
        ("pt-br", "10000", "10.000", 10_000),
        ("pt-br", "12,5", "12,50", 12.5),
        ("pt-br", "12,345", "12,345", 12.345),
        ("en", "10000", "10,000", 10_000),
        ("en", "12.345", "12.345", 12.345),
    ],
)
def test_day__amounts__are_shown_and_read_in_the_pages_language(
    shop: Experiment, language: str, shown: str, typed: str, stored: float
) -> None:
    client = client_of("analyst")
    day = DailyMetric.objects.filter(variant__experiment=shop).latest("date")
    # the squares of a single order
    totals = {"value_sum": str(stored), "value_squares": stored**2}
    DailyMetric.objects.filter(pk=day.pk).update(conversions=10, **totals)
    url = f"/dashboard/experiments/{shop.key}/data/day/?date={day.date}"
    form = client.get(url, headers={"accept-language": language}).context["form"]
    with translation.override(language):
        sent = {name: form[name].value() for name in form.fields}
    assert sent[f"value_sum-{day.variant_id}"] == shown

    same = {name: "" if value is None else str(value) for name, value in sent.items()}
    for value in (shown, typed):
        changed = {**same, f"value_sum-{day.variant_id}": value}
        response = client.post(url, changed, headers={"accept-language": language})
        assert response.status_code == 302, response.context["form"].errors
        assert float(DailyMetric.objects.get(pk=day.pk).value_sum) == stored


@pytest.mark.parametrize("value", [0.0, 1056.25, 12.125, 1e22, 1.2345678901234e30, 1e-7, 1.23456789012345e-9])
@pytest.mark.parametrize("language", ["pt-br", "en"])
def test_squares__as_shown__are_read_back(value: float, language: str) -> None:
    field = SquaresField()

    with translation.override(language):
        assert field.clean(field.prepare_value(value)) == value
