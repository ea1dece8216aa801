"""The simulator's page: shareable by its address, the numbers those of the command, bounded, refused by field."""

import io
import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.management import call_command
from django.http import QueryDict
from django.test import Client

from allocation.engine.lab.policies import POLICIES
from allocation.engine.lab.report import SimulationResult
from allocation.engine.lab.simulation import SCENARIOS
from allocation.lab.requests import run_simulation
from dashboard.lab.charts import variant_names
from dashboard.lab.columns import EVEN, OTHER_RULES
from dashboard.lab.simulator import PRESETS, SCENARIO_NAMES, SimulatorForm, simulation_of
from tests.dashboard.streams import messages_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("visitor")]

PAGE = "/dashboard/simulator/"
SMALL = "rates=4+8&daily_traffic=500&days=16&runs=20&scenario=weekend&seed=3"


def results_of(client: Client, query: str) -> dict[str, SimulationResult]:
    response = client.get(f"{PAGE}?{query}&whole=1")
    return {row.column.key: row.result for row in response.context["rows"]}


def form_of(query: str) -> SimulatorForm:
    return SimulatorForm.of(QueryDict(query))


def test_simulator__nothing_asked__begins_with_an_example_that_runs_at_once(client: Client) -> None:
    page = client.get(PAGE)

    assert page.context["form"]["rates"].value() == "4 6 4.5"
    assert b"data-lab-starts" in page.content
    assert [name for name, _query in page.context["presets"]] == [
        "Clear winner",
        "Close race",
        "Weekend effect",
    ]


@pytest.mark.parametrize(("name", "values"), PRESETS)
def test_presets__each__is_a_form_that_can_be_computed(name: str, values: dict[str, str]) -> None:
    form = form_of(urlencode(values))

    assert form.errors == {}, name


def test_simulator__the_same_address__the_same_numbers(client: Client) -> None:
    first, second = (results_of(client, f"{SMALL}&b_window_days=7") for _ in range(2))

    assert first == second
    assert list(first) == ["a", "b", "even"]
    assert first["a"] != first["b"]
    assert first != results_of(client, SMALL.replace("seed=3", "seed=4") + "&b_window_days=7")


def test_simulator__short_address__is_filled_in(client: Client) -> None:
    page = client.get(f"{PAGE}?rates=4+8")

    values = {name: page.context["form"][name].value() for name in ("daily_traffic", "days", "runs", "seed")}
    assert values == {"daily_traffic": "1000", "days": "30", "runs": "200", "seed": "1"}


def test_simulator__numbers__are_those_of_the_command(client: Client) -> None:
    scenario = SMALL.replace("weekend", "noisy")
    query = f"{scenario}&a_window_days=7&a_day_adjustment=off&policies=top_two&stop=on"
    query += "&b_memory=off&b_dispersion=off&b_beta_prior=19"
    simulation = simulation_of(_valid(query))
    shown = results_of(client, query)

    for command in client.get(f"{PAGE}?{query}&whole=1").context["commands"]:
        out = io.StringIO()
        call_command(*command.removeprefix("./dev manage ").split(), "--json", stdout=out)
        for policy, numbers in json.loads(out.getvalue())["policies"].items():
            service = "b" if "--no-memory --no-dispersion" in command else "a"
            key = service if policy == "thompson" else policy
            assert key in {column.key for column in simulation.columns}
            assert numbers == json.loads(json.dumps(shown[key].to_json()))


def test_simulator__command__has_the_settings_that_were_left_blank_only_where_they_are_set(
    client: Client, settings: Any
) -> None:
    settings.ALGORITHM_DEFAULTS = {**settings.ALGORITHM_DEFAULTS, "window_days": 30}

    first, _even = client.get(f"{PAGE}?{SMALL}&whole=1").context["commands"]

    assert first.endswith("--policies thompson --window-days 30")
    assert "beta-prior" not in first


def test_simulator__every_scenario_of_the_engine__has_a_name() -> None:
    assert tuple(SCENARIO_NAMES) == SCENARIOS


def test_simulator__numbers__are_those_of_the_api(client: Client) -> None:
    asked = {
        "rates": [0.04, 0.08], "daily_traffic": 500, "days": 16, "runs": 20, "scenario": "weekend", "seed": 3,
        "policies": ["thompson", "even"], "settings": {}, "stop": None,
    }  # fmt: skip

    answer, shown = run_simulation(asked), results_of(client, SMALL)

    assert answer == {"thompson": shown["a"], "even": shown["even"]}


def test_run__streams_progress_then_the_same_result(client: Client) -> None:
    *progress, last = messages_of(client.get(f"{PAGE}run/?{SMALL}"))

    done = [message["done"] for message in progress]
    assert done == sorted(done)
    assert done[-1] == 1
    assert len(done) > 10
    page = client.get(f"{PAGE}?{SMALL}&whole=1").content.decode()
    assert "".join(last["html"].split()) in "".join(page.split())


def test_run__nobody_waits__the_computation_ends() -> None:
    response: Any = Client().get(f"{PAGE}run/?{SMALL}")
    lines = iter(response.streaming_content)
    assert json.loads(next(lines))["done"] > 0

    response.close()

    assert list(lines) == []


def test_simulator__two_settings__are_compared_in_words(client: Client) -> None:
    better = client.get(f"{PAGE}?{SMALL}&a_max_daily_shift=0.1&whole=1&b_max_daily_shift=100").context
    level = client.get(f"{PAGE}?{SMALL}&b_maturity_days=0&whole=1").context

    assert "clicks less than A (±" in better["sentences"][1]
    assert level["sentences"][1].startswith("No clear difference in clicks lost")
    assert level["sentences"][2] == (
        # two times sqrt(2 * 21/22 * 1/22 / 22)
        "The best variant leads in 100% of the simulations with A and in 100% with B; up to 13 points may be chance."
    )


def test_simulator__charts__have_every_day_and_every_column(client: Client) -> None:
    context = client.get(f"{PAGE}?{SMALL}&b_window_days=7&policies=ucb1&whole=1").context

    front, regret = context["charts"]
    assert [series.name for series in front.series] == ["Settings A", "Settings B", "Even split", "UCB1"]
    assert list(front.x) == [float(day) for day in range(1, 17)]
    assert regret.data()["bounds"] == ["p10", "p90"]
    for series in regret.series:
        assert series.low is not None
        assert series.high is not None
        assert all(a <= b for a, b in zip(series.low, series.high, strict=True))
    for chart in context["share_charts"]:
        assert [sum(day) for day in zip(*(s.values for s in chart.series), strict=True)] == pytest.approx(
            [1.0] * 16
        )


def test_variant_names__rates__as_they_were_given() -> None:
    assert variant_names([0.04, 0.045, 0.0]) == ["Control, 4%", "Variant B, 4.5%", "Variant C, 0%"]


@pytest.mark.parametrize("text", ["4,5,6", "4, 5, 6", "4;5;6", "4.0,5.0,6", "4,0 5,0 6,0", "4,5,6,"])
def test_rates__commas_alone__separate_where_they_cannot_be_decimals(text: str) -> None:
    form = form_of(urlencode({"rates": text}))

    assert form.is_valid()
    assert form.cleaned_data["rates"] == (0.04, 0.05, 0.06)


@pytest.mark.parametrize("text", ["4 5", "4;5", "4% 5%", "4, 5", " 4  5 ", "4.0 5,0"])
def test_rates__several_spellings__are_read(text: str) -> None:
    form = form_of(urlencode({"rates": text}))

    assert form.is_valid()
    assert form.cleaned_data["rates"] == (0.04, 0.05)


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("rates=4", "rates", "Give 2 to 12 rates"),
        ("rates=4,5", "rates", "Give 2 to 12 rates"),
        ("rates=" + "+".join(["4"] * 13), "rates", "Give 2 to 12 rates"),
        ("rates=4+x", "rates", "'x' is not a rate from 0 to 100 percent."),
        ("rates=4+101", "rates", "'101' is not a rate"),
        ("rates=4+-1", "rates", "'-1' is not a rate"),
        ("rates=4+1e1", "rates", "'1e1' is not a rate"),
        ("daily_traffic=0", "daily_traffic", "greater than or equal to 1"),
        ("days=366", "days", "less than or equal to 365"),
        ("scenario=flood", "scenario", "flood is not one of the available choices"),
        ("policies=best", "policies", "best is not one of the available choices"),
        ("seed=-1", "seed", "greater than or equal to 0"),
        ("runs=5000", "runs", "A page computes at most 1,389 simulations"),
        ("runs=3000&days=365&a_window_days=365", "runs", "A page computes at most 3 simulations"),
        ("days=365&policies=ucb1", "days", "So many days, rates and columns are too much for a page."),
        ("a_window_days=0", "a_window_days", "A whole number from 1 to 365 days."),
        ("b_window_days=2.5", "b_window_days", "A whole number from 1 to 365 days."),
        ("b_exploitation=0", "b_exploitation", "Above 0, at most 20."),
        ("b_exploitation=nan", "b_exploitation", "Above 0, at most 20."),
        ("a_max_daily_shift=0.005", "a_max_daily_shift", "In steps of 0.01%."),
        ("a_day_adjustment=maybe", "a_day_adjustment", "maybe is not one of"),
        ("b_control_floor=50&b_min_explore_rate=50", "b_control_floor", "must be at most 99%"),
    ],
)
def test_simulator__what_cannot_be_computed__is_refused_at_its_field(
    client: Client, query: str, field: str, words: str
) -> None:
    page = client.get(f"{PAGE}?{query}&whole=1")

    assert list(page.context["form"].errors) == [field]
    assert words in page.context["form"].errors[field][0]
    # where there is no error the place for it is hidden
    assert re.search(rf'id="id_{field}_error"\s*>', page.content.decode())
    assert b"data-lab-starts" not in page.content
    assert client.get(f"{PAGE}run/?{query}").status_code == 422


def test_simulator__hostile_text__is_shown_as_text(client: Client) -> None:
    page = client.get(PAGE, {"rates": "<script>alert(1)</script> 5"}).content.decode()

    assert "<script>alert" not in page


def test_simulator__installation_with_its_own_defaults__is_the_blank_settings(
    client: Client, settings: Any
) -> None:
    plain = results_of(client, SMALL)
    settings.ALGORITHM_DEFAULTS = {**settings.ALGORITHM_DEFAULTS, "max_daily_shift": 0.01}

    changed = results_of(client, SMALL)

    assert changed["a"] != plain["a"]
    assert changed["a"] == results_of(client, f"{SMALL}&a_max_daily_shift=1")["a"]


@pytest.mark.parametrize("page", ["simulator", "backtest", "planner", "algorithm"])
@pytest.mark.parametrize("path", ["", "run/"])
def test_lab__no_login_where_one_is_needed__leads_to_it(
    client: Client, settings: Any, page: str, path: str
) -> None:
    settings.DASHBOARD_LOGIN_REQUIRED = True
    if (page, path) == ("algorithm", "run/"):
        return

    response = client.get(f"/dashboard/{page}/{path}")

    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/")


def test_lab__pages__ask_the_database_for_nothing(client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        for page in ("simulator", "backtest", "planner", "algorithm"):
            assert client.get(f"/dashboard/{page}/").status_code == 200
        client.get(f"{PAGE}?{SMALL}&whole=1")
        messages_of(client.get(f"{PAGE}run/?{SMALL}"))


def _valid(query: str) -> SimulatorForm:
    form = form_of(query)
    assert form.is_valid(), form.errors
    return form


def test_rules__every_policy_of_the_engine_but_the_service__is_in_the_table() -> None:
    assert {"thompson", EVEN.key, *(rule.key for rule in OTHER_RULES)} == set(POLICIES)


def test_simulator__values__are_those_of_the_command_and_spoken_of(client: Client) -> None:
    query = "rates=5+5&order_values=50+80,5&value_cv=80&daily_traffic=500&days=16&runs=20&seed=3"

    page = client.get(f"{PAGE}?{query}&whole=1")

    out = io.StringIO()
    command = re.search(r"manage simulate (.*--policies thompson.*)", page.context["commands"][0])
    assert command is not None
    assert "--order-values 50,80.5 --value-cv 0.8" in command[1]
    call_command("simulate", *command[1].split(), "--json", stdout=out)
    printed = json.loads(out.getvalue())["policies"]["thompson"]
    row = page.context["rows"][0]
    assert row.result.regret_mean == printed["regret_mean"]
    assert row.result.best_in_front > 0.8
    assert "a value of" in page.context["sentences"][0]
    assert b"value, mean" in page.content
    assert b"clicks" not in page.content


def test_simulator__even_split__has_nothing_extra_against_itself(client: Client) -> None:
    query = "rates=5+5&order_values=50+80&value_cv=80&daily_traffic=500&days=16&runs=20&seed=3&whole=1"

    rows = {row.column.key: row for row in client.get(f"{PAGE}?{query}").context["rows"]}
    page = " ".join(client.get(f"{PAGE}?{query}").content.decode().split())
    stopped = {row.column.key: row for row in client.get(f"{PAGE}?{query}&stop=on").context["rows"]}

    assert round(rows["even"].result.gain_over_even_mean) != 0  # how visitors happened to be split
    assert re.findall(r'data-label="Extra vs even split"[^>]*>\s*([^<]*?)\s*<', page)[-1] == "0"
    assert [row.is_measure for row in (rows["a"], rows["even"], stopped["even"])] == [False, True, False]


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("order_values=50", "order_values", "1 values for 2 rates"),
        ("order_values=50+much", "order_values", "'much' is not an amount"),
        ("order_values=50+0", "order_values", "'0' is not an amount"),
        ("value_cv=-1", "value_cv", "greater than or equal to 0"),
        ("value_cv=1001", "value_cv", "less than or equal to 1000"),
    ],
)
def test_simulator__unusable_values__are_refused_by_field(query: str, field: str, words: str) -> None:
    form = form_of(f"rates=4+8&{query}")

    assert not form.is_valid()
    assert words in form.errors[field][0]
