"""The simulate command: what it prints, what it refuses. No database."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from allocation.engine.lab.simulation import SCENARIOS
from experiments.settings_schema import ALGORITHM_SETTINGS

pytestmark = pytest.mark.database_free

SMALL = ["--rates", "0.04,0.08", "--daily-traffic", "500", "--days", "16", "--runs", "20"]


def simulate(*options: str) -> str:
    out = io.StringIO()
    call_command("simulate", *SMALL, *options, stdout=out)
    return out.getvalue()


def simulate_json(*options: str) -> dict[str, Any]:
    policies: dict[str, Any] = json.loads(simulate("--json", *options))["policies"]
    return policies


def test_simulate__json__is_one_object_with_every_policy_asked_for() -> None:
    policies = simulate_json("--policies", "thompson,even,greedy,epsilon_greedy,ucb1,top_two")

    assert list(policies) == ["thompson", "even", "greedy", "epsilon_greedy", "ucb1", "top_two"]
    assert set(policies["thompson"]) >= {
        "regret_mean", "regret_p10", "regret_p90", "gain_over_even_mean", "best_in_front", "stop_day_mean",
        "stop_day_median",
    }  # fmt: skip
    assert policies["thompson"]["regret_mean"] < policies["even"]["regret_mean"]
    # 500 visits on 16 days, half of them 0.04 short
    assert policies["even"]["regret_mean"] == pytest.approx(160, rel=0.03)


def test_simulate__seed__makes_the_numbers() -> None:
    assert simulate("--json", "--seed", "5") == simulate("--json", "--seed", "5")
    assert simulate("--json", "--seed", "5") != simulate("--json", "--seed", "6")


def test_simulate__other_policies_beside_it__change_nothing() -> None:
    assert simulate_json("--policies", "thompson")["thompson"] == simulate_json()["thompson"]


def test_simulate__stop__ends_runs_early() -> None:
    unlimited = ["--control-floor", "0", "--min-explore-rate", "0", "--max-daily-shift", "1"]

    stopped = simulate_json("--stop", "value-remaining", "--min-impressions", "0", *unlimited)["thompson"]

    assert stopped["stopped"] > 0.5
    assert 14 <= stopped["stop_day_mean"] < 16
    assert simulate_json()["thompson"]["stop_day_mean"] == 16


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_simulate__scenario__prints_a_table(scenario: str) -> None:
    text = simulate("--scenario", scenario)

    assert scenario in text
    assert "thompson" in text
    assert "day 16" in text


def test_simulate__settings__reach_the_decision() -> None:
    frozen = simulate_json("--max-daily-shift", "0.0001", "--no-day-adjustment")["thompson"]

    assert frozen["mean_shares_by_day"][-1] == pytest.approx([0.5, 0.5], abs=0.002)
    assert simulate_json("--control-floor", "0.45")["thompson"]["mean_shares_by_day"][-1][0] >= 0.45


@pytest.mark.parametrize(
    "options",
    [["--no-memory"], ["--no-dispersion"], ["--window-days", "7"], ["--beta-prior", "20"]],
)
def test_simulate__evidence__is_that_of_the_settings(options: list[str]) -> None:
    asked = [
        "--rates",
        "0.04,0.042",
        "--scenario",
        "noisy",
        "--days",
        "30",
        "--daily-traffic",
        "4000",
        "--json",
    ]
    default, other = (simulate(*asked, *more) for more in ([], options))

    assert json.loads(other) != json.loads(default)
    assert simulate(*asked, "--memory", "--dispersion") == default


def test_simulate__help__names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("simulate", "--help")

    text = capsys.readouterr().out
    for name in ALGORITHM_SETTINGS:
        assert "--" + name.replace("_", "-") in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--rates", "0.04"], "--rates: must be 2 to 100 numbers from 0 to 1"),
        (["--rates", "0.04,1.2"], "--rates"),
        (["--rates", "0.04,nan"], "--rates"),
        (["--rates", "0.04,x"], "--rates"),
        (["--days", "0"], "--days: must be a whole number from 1 to 3,650"),
        (["--runs", "1.5"], "--runs: must be a whole number"),
        (["--daily-traffic", "-1"], "--daily-traffic"),
        (["--seed", "-1"], "--seed"),
        (["--scenario", "flood"], "--scenario"),
        (["--stop", "never"], "--stop"),
        (["--policies", "thompson,best"], "--policies: 'best' is none of"),
        (
            ["--max-daily-shift", "0.00005"],
            "--max-daily-shift: must be from 0.0001 to 1, a multiple of 0.0001",
        ),
        (["--window-days", "400"], "--window-days: must be a whole number from 1 to 365"),
        (["--window-days", "2.5"], "--window-days: must be a whole number"),
        (["--alpha-prior", "0"], "--alpha-prior: must be above 0"),
        (["--exploitation", "nan"], "--exploitation"),
        (["--control-floor", "0.5", "--min-explore-rate", "0.5"], "--control-floor and min_explore_rate"),
        (["--runs", "100000", "--days", "3650"], "--runs times --days times variants"),
    ],
)
def test_simulate__bad_option__is_refused_by_name_and_range(options: list[str], words: str) -> None:
    with pytest.raises(CommandError) as refusal:
        simulate(*options)

    assert words in str(refusal.value)


def test_simulate__order_values__finds_the_variant_with_dearer_orders() -> None:
    equal = [
        "--rates",
        "0.05,0.05",
        "--order-values",
        "50,80",
        "--daily-traffic",
        "2000",
        "--value-cv",
        "0.8",
    ]

    policies = simulate_json(*equal)

    assert policies["thompson"]["best_in_front"] > 0.9
    # half of 2,000 visits on 16 days, 5% of which bring 30 less
    assert policies["even"]["regret_mean"] == pytest.approx(1000 * 16 * 0.05 * 30, rel=0.02)
    assert "a success brings 50, 80 on average, standard deviation 80% of it" in simulate(*equal)


def test_simulate__value_cv_alone__makes_every_success_worth_one_on_average() -> None:
    assert simulate_json("--value-cv", "2")["even"]["regret_mean"] == pytest.approx(160, rel=0.03)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--order-values", "50"], "--order-values: 1 for 2 rates"),
        (["--order-values", "50,0"], "must be numbers from 0.0001 to 1,000,000"),
        (["--order-values", "50,much"], "must be numbers from 0.0001 to 1,000,000"),
        (["--value-cv", "-1"], "must be a number from 0 to 10"),
        (["--value-cv", "nan"], "must be a number from 0 to 10"),
    ],
)
def test_simulate__unusable_values__are_refused(options: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        simulate(*options)
