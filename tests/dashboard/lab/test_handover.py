"""Between experiments and the lab: forms filled in from what was observed, and settings brought into a form."""

import datetime as dt
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from allocation.statistics.experiment import analyse
from allocation.statistics.world import ObservedWorld, observed_world
from dashboard.experiment.summary import experiment_or_404
from experiments.ingestion.record import record_events
from experiments.metrics import DailyCounts, Reward
from experiments.models import Experiment, Status
from experiments.services import create_experiment
from experiments.variants import add_variant
from tests.dashboard.clients import client_of
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]

_ONE = "/dashboard/experiments/button-colour/"


def _with_data(**settings: Any) -> Experiment:
    experiment = make_experiment(**settings)
    for age in range(10):
        day = TODAY - dt.timedelta(days=age)
        record(experiment, counts("control", 1000, 40, date=day), counts("b", 1000, 60, date=day))
    allocate(experiment)
    return experiment


def _sent_to(client: Client, address: str) -> tuple[str, dict[str, str]]:
    parts = urlsplit(client.get(address)["Location"])
    return parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}


def _world(experiment: Experiment) -> ObservedWorld | None:
    return observed_world(analyse(experiment_or_404(experiment.key, TODAY), TODAY), 12)


def test_simulate__experiment__gives_its_rates_traffic_and_own_settings(client: Client) -> None:
    _with_data(max_daily_shift=0.1, memory=False)

    path, query = _sent_to(client, f"{_ONE}simulate/")

    assert path == "/dashboard/simulator/"
    control, b = (float(rate) for rate in query["rates"].split())
    assert [control, b] == pytest.approx([4, 6], abs=0.1)
    assert (query["daily_traffic"], query["a_max_daily_shift"], query["a_memory"]) == ("2000", "10", "off")
    assert client.get(f"{path}", query).context["form"].is_valid()


def test_plan__experiment__gives_the_control_and_the_number_of_variants(client: Client) -> None:
    _with_data()

    path, query = _sent_to(client, f"{_ONE}plan/")

    assert path == "/dashboard/planner/"
    assert float(query["base_rate"]) == pytest.approx(4, abs=0.1)
    assert (query["daily_traffic"], query["variants"]) == ("2000", "2")
    assert client.get(path, query).context["form"].is_valid()


_NOTHING_KNOWN = "does not have enough data yet: the rates and the traffic here are examples."


@pytest.mark.parametrize("page", ["simulate", "plan"])
@pytest.mark.parametrize("status", [Status.DRAFT, Status.ACTIVE])
def test_lab__experiment_without_data__shows_examples_and_says_so(
    client: Client, page: str, status: Status
) -> None:
    experiment = make_experiment(status=status, max_daily_shift=0.1)
    for name in ("control", "b", "c"):
        add_variant(experiment_id=experiment.pk, name=name, now=NOW)

    path, query = _sent_to(client, f"{_ONE}{page}/")
    shown = client.get(path, query)

    assert shown.context["form"].is_valid()
    assert _NOTHING_KNOWN in shown.content.decode()
    known = {"rates": "4 6 4.5", "a_max_daily_shift": "10"} if page == "simulate" else {"variants": "3"}
    assert {name: query[name] for name in known} == known
    assert not {"daily_traffic", "base_rate"} & query.keys()


def test_plan__data_of_one_variant__gives_its_rate_and_traffic(client: Client) -> None:
    record(make_experiment(), counts("control", 10_000, 1_000))

    path, query = _sent_to(client, f"{_ONE}plan/")
    shown = client.get(path, query)

    assert float(query["base_rate"]) == pytest.approx(10, abs=0.1)
    assert (query["daily_traffic"], query["variants"]) == ("10000", "2")
    assert "examples" not in shown.content.decode()


def test_simulate__data_of_one_variant__says_that_the_other_rate_is_an_example(client: Client) -> None:
    record(make_experiment(), counts("control", 10_000, 1_000))

    path, query = _sent_to(client, f"{_ONE}simulate/")
    shown = client.get(path, query)

    control, other = (float(rate) for rate in query["rates"].split())
    assert [control, other / control] == pytest.approx([10, 1.5], abs=0.1)
    assert query["daily_traffic"] == "10000"
    assert "the other rates are examples." in shown.content.decode()


@pytest.mark.parametrize("rows", [[("b", 1000, 50)], [("b", 1000, 50), ("c", 1000, 60)]])
def test_plan__control_without_data__takes_no_other_rate_for_its_own(
    client: Client, rows: list[tuple[str, int, int]]
) -> None:
    record(make_experiment(), counts("control", 0, 0), *(counts(*row) for row in rows))

    path, query = _sent_to(client, f"{_ONE}plan/")
    shown = client.get(path, query)

    assert "base_rate" not in query
    assert query["daily_traffic"] == str(1000 * len(rows))
    assert "The control has no successes yet" in shown.content.decode()
    assert "the baseline rate is an example." in shown.content.decode()


@pytest.mark.parametrize("page", ["simulate", "plan"])
def test_lab__impressions_without_a_click__are_no_rate(client: Client, page: str) -> None:
    record(make_experiment(), counts("control", 1000, 0), counts("b", 1000, 0))

    path, query = _sent_to(client, f"{_ONE}{page}/")
    shown = client.get(path, query)

    assert (query.get("rates", "4 6"), query["daily_traffic"], "base_rate" in query) == ("4 6", "2000", False)
    assert "its traffic is filled in, the rates are examples." in shown.content.decode()


def test_simulate__orders_of_one_variant_of_two_with_data__says_so(client: Client) -> None:
    experiment = make_experiment(reward=Reward.VALUE_PER_IMPRESSION)
    rows = [
        DailyCounts(TODAY, "control", 1000, 0, 4, Decimal(80), 2000.0),
        DailyCounts(TODAY, "b", 1000, 0, 0, Decimal(0), 0.0),
    ]
    record_events(experiment_id=experiment.pk, rows=rows, today=TODAY, now=NOW)

    shown = client.get(f"{_ONE}simulate/", follow=True).content.decode()

    assert "Only one active variant has successes yet: its rate and the traffic are filled in" in shown


@pytest.mark.parametrize("page", ["simulate", "plan"])
def test_lab__value_without_an_order__gives_its_traffic(client: Client, page: str) -> None:
    experiment = make_experiment(reward=Reward.VALUE_PER_IMPRESSION)
    rows = [DailyCounts(TODAY, name, 1000, 0, 0, Decimal(0), 0.0) for name in ("control", "b")]
    record_events(experiment_id=experiment.pk, rows=rows, today=TODAY, now=NOW)

    path, query = _sent_to(client, f"{_ONE}{page}/")
    shown = client.get(path, query)

    assert (query["daily_traffic"], shown.context["form"].errors) == ("2000", {})
    assert "its traffic is filled in, the rates are examples." in shown.content.decode()


def test_simulate__value_of_one_variant_only__gives_what_its_orders_are_worth_to_all(client: Client) -> None:
    experiment = make_experiment(reward=Reward.VALUE_PER_IMPRESSION)
    rows = [
        DailyCounts(TODAY, "control", 1000, 0, 4, Decimal(80), 2000.0),
        DailyCounts(TODAY, "b", 1000, 0, 0, Decimal(0), 0.0),
    ]
    record_events(experiment_id=experiment.pk, rows=rows, today=TODAY, now=NOW)

    path, query = _sent_to(client, f"{_ONE}simulate/")

    assert (query["rates"], query["order_values"], query["value_cv"]) == ("0.4 0.6", "20 20", "50")
    assert client.get(path, query).context["form"].errors == {}


def test_lab__address_with_a_word_of_its_own__says_nothing(client: Client) -> None:
    assert client.get("/dashboard/planner/?example=<b>").context["example_note"] == ""


@pytest.mark.parametrize("page", ["simulate", "plan"])
def test_lab__a_hundred_variants_and_tiny_rates__fill_a_form_that_is_valid(client: Client, page: str) -> None:
    experiment = make_experiment()
    record(experiment, *(counts(f"v{n}", 10**9, 100 + n) for n in range(100)))

    response = client.get(f"{_ONE}{page}/", follow=True)

    assert response.context["form"].errors == {}


def test_world__goal_of_value__has_the_worth_of_a_success_and_its_spread() -> None:
    experiment = make_experiment(reward=Reward.VALUE_PER_IMPRESSION)
    # four orders of 10 and 30 each: mean 20, mean square 500, spread sqrt(500 / 400 - 1) = 0.5
    rows = [
        DailyCounts(TODAY, name, 1000, 0, conversions, Decimal(value), squares)
        for name, conversions, value, squares in (("control", 4, 80, 2000.0), ("b", 8, 160, 4000.0))
    ]
    record_events(experiment_id=experiment.pk, rows=rows, today=TODAY, now=NOW)

    world = _world(experiment)

    assert world is not None
    assert world.rates == pytest.approx([0.004, 0.008])
    assert world.order_values == pytest.approx([20, 20])
    assert world.value_cv == pytest.approx(0.5)


def test_world__one_variant__has_its_rate() -> None:
    one = make_experiment("One")
    record(one, counts("control", 100, 5), counts("b", 0, 0))

    world = _world(one)

    assert world is not None
    assert [*world.rates, world.daily_trials] == pytest.approx([0.05, 100], abs=0.005)


def test_world__no_trial__is_none() -> None:
    none = make_experiment("None")
    record(none, counts("control", 0, 0), counts("b", 0, 0))

    assert _world(none) is None


# --- use these settings ---


def test_use__new_experiment__fills_in_its_form_and_saves_nothing(client: Client) -> None:
    path, query = _sent_to(
        client, "/dashboard/use-settings/?experiment=&min_explore_rate=2&memory=off&evil=1"
    )

    assert (path, query) == (
        "/dashboard/experiments/new/",
        {"use": "1", "min_explore_rate": "2", "memory": "off"},
    )
    page = client.get(path, query)
    assert page.context["form"]["min_explore_rate"].value() == "2"
    assert "nothing is saved yet" in page.content.decode()
    assert not Experiment.objects.exists()


@pytest.mark.parametrize("status", [Status.DRAFT, Status.ACTIVE])
def test_use__existing_experiment__replaces_all_its_settings_once_a_person_saves(
    client: Client, status: Status
) -> None:
    create_experiment(
        name="Button colour", status=status, settings={"window_days": 14, "max_daily_shift": 0.3}, now=NOW
    )

    path, query = _sent_to(
        client, "/dashboard/use-settings/?experiment=button-colour&min_explore_rate=2&max_daily_shift=10"
    )
    page = client.get(path, query)
    form = page.context["form"]

    assert path == f"{_ONE}settings/"
    assert (form["min_explore_rate"].value(), form["max_daily_shift"].value()) == ("2", "10")
    assert form["window_days"].value() == ""
    assert Experiment.objects.get().window_days == 14

    client.post(path, {name: form[name].value() or "" for name in form.fields})
    saved = Experiment.objects.get()
    assert (saved.min_explore_rate, saved.max_daily_shift, saved.window_days) == (0.02, 0.1, None)


def test_use__value_that_is_wrong__is_shown_and_refused_when_it_is_saved(client: Client) -> None:
    page = client.get("/dashboard/experiments/new/?use=1&min_explore_rate=<b>900")

    assert "&lt;b&gt;900" in page.content.decode()


def test_use__viewer__is_refused() -> None:
    assert client_of("viewer").get("/dashboard/use-settings/?min_explore_rate=2").status_code == 403


def test_simulator__settings_of_their_own__can_be_used_and_are_written_for_the_environment(
    client: Client,
) -> None:
    make_experiment("Open one")
    query = "rates=4+6&daily_traffic=100&days=2&runs=2&a_max_daily_shift=5&b_memory=off&whole=1"

    page = client.get(f"/dashboard/simulator/?{query}").content.decode()

    assert "MAX_DAILY_SHIFT=0.05" in page
    assert "MEMORY=false" in page
    assert page.count('action="/dashboard/use-settings/"') == 2


def test_use__no_experiment_chosen_yet__offers_those_that_can_be_changed(client: Client) -> None:
    make_experiment("Open one")
    Experiment.objects.filter(pk=make_experiment("Ended one").pk).update(status=Status.COMPLETED)

    page = client.get("/dashboard/use-settings/?min_explore_rate=2&evil=1").content.decode()

    assert '<option value="open-one">Open one</option>' in page
    assert '<input type="hidden" name="min_explore_rate" value="2">' in page
    assert "Ended one" not in page
    assert 'name="evil"' not in page


def test_simulator__as_installed__offers_nothing_to_use(client: Client) -> None:
    page = client.get("/dashboard/simulator/?rates=4+6&daily_traffic=100&days=2&runs=2&whole=1")

    assert "/dashboard/use-settings/" not in page.content.decode()


def test_simulate__rates_of_many_digits__are_rounded_and_written_as_the_page_writes_numbers(
    client: Client,
) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 4100, 360), counts("b", 4100, 350))
    allocate(experiment)
    _path, query = _sent_to(client, f"{_ONE}simulate/")

    english = client.get("/dashboard/simulator/", query)
    portuguese = client.get("/dashboard/simulator/", query, headers={"Accept-Language": "pt-BR"})

    assert query["rates"] == "8.78 8.537"
    assert 'value="8.78 8.537"' in english.content.decode()
    assert 'value="8,78 8,537"' in portuguese.content.decode()
    assert portuguese.context["form"].cleaned_data["rates"] == (0.0878, 0.08537)


@pytest.mark.parametrize("rates", ["4 x", "4,5,6 7", ""])
def test_simulator__rates_that_are_none__are_shown_as_they_were_typed(client: Client, rates: str) -> None:
    page = client.get("/dashboard/simulator/", {"rates": rates}, headers={"Accept-Language": "pt-BR"})

    assert page.context["form"]["rates"].value() == rates


@pytest.mark.parametrize(("language", "shown"), [("en", "8.781"), ("pt-BR", "8,781")])
@pytest.mark.parametrize("rate", ["8.781", "8,781"])
def test_planner__rate_with_a_point_or_a_comma__is_read_and_written_as_the_page_writes_it(
    client: Client, language: str, shown: str, rate: str
) -> None:
    page = client.get(
        "/dashboard/planner/", {"base_rate": rate, "uplift": "12,5"}, headers={"Accept-Language": language}
    )

    form = page.context["form"]
    assert form.is_valid(), form.errors
    assert (form.cleaned_data["base_rate"], form.cleaned_data["uplift"]) == (
        Decimal("8.781"),
        Decimal("12.5"),
    )
    assert f'value="{shown}"' in page.content.decode()


@pytest.mark.parametrize("rate", ["8,7,1", "1.234,5", "x"])
def test_planner__rate_that_is_no_number__is_refused_and_stays(client: Client, rate: str) -> None:
    page = client.get("/dashboard/planner/", {"base_rate": rate}, headers={"Accept-Language": "pt-BR"})

    assert "base_rate" in page.context["form"].errors
    assert f'value="{rate}"' in page.content.decode()


@pytest.mark.parametrize(("language", "is_read"), [("en", False), ("pt-BR", True)])
def test_setting__comma_that_may_separate_thousands__is_read_where_it_cannot(
    client: Client, language: str, is_read: bool
) -> None:
    page = client.get(
        "/dashboard/simulator/",
        {"rates": "4 5", "a_max_daily_shift": "1,250"},
        headers={"Accept-Language": language},
    )

    assert ("a_max_daily_shift" not in page.context["form"].errors) == is_read
