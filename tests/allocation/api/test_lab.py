"""/api/v1/ about simulations and backtests."""

from typing import Any

import pytest
from rest_framework.test import APIClient

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

V1 = "/api/v1"


def test_simulations__two_policies__answer_what_the_command_answers(api: APIClient) -> None:
    body = {
        "rates": [0.04, 0.06],
        "daily_traffic": 2000,
        "days": 10,
        "runs": 20,
        "policies": ["thompson", "even"],
    }

    policies = api.post(f"{V1}/simulations/", body).json()["policies"]

    assert policies.keys() == {"thompson", "even"}
    assert policies["thompson"]["regret_mean"] < policies["even"]["regret_mean"]
    assert len(policies["thompson"]["mean_shares_by_day"]) == 10


def test_simulations__values__are_of_the_goal_of_value_per_visit(api: APIClient) -> None:
    body = {"rates": [0.1, 0.1], "order_values": [20, 30], "value_cv": 0.5, "days": 10, "runs": 20}

    policies = api.post(f"{V1}/simulations/", body).json()["policies"]

    # half of 1,000 visits on 10 days, 10% of which bring 10 less
    assert policies["even"]["regret_mean"] == pytest.approx(5000, rel=0.05)
    assert policies["thompson"]["best_in_front"] > 0.9


def test_simulations__worths_of_other_length__are_422_and_name_the_field(api: APIClient) -> None:
    response = api.post(f"{V1}/simulations/", {"rates": [0.1, 0.1], "order_values": [20, 30, 40]})

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "order_values"


def test_simulations__past_the_bound__are_422_with_the_bound(api: APIClient) -> None:
    response = api.post(f"{V1}/simulations/", {"rates": [0.1, 0.2], "days": 3000, "runs": 1000})

    assert response.status_code == 422
    assert "100,000" in response.json()["detail"]


@pytest.mark.parametrize(
    "more",
    [
        {"rates": [0.1] * 100, "days": 10, "runs": 60},
        {"stop": "value-remaining", "days": 100, "runs": 700},
        {"settings": {"window_days": 365}, "days": 365, "runs": 100},
    ],
)
def test_simulations__what_takes_longer__counts_for_more(api: APIClient, more: dict[str, Any]) -> None:
    response = api.post(f"{V1}/simulations/", {"rates": [0.1, 0.2], "policies": ["thompson"], **more})

    assert response.status_code == 422
    assert "counts as" in response.json()["detail"]
    assert "100,000" in response.json()["detail"]


def test_backtests__past_tests__answer_regret_beside_an_even_split(api: APIClient) -> None:
    variants = [
        {"variant": "control", "impressions": 4000, "clicks": 80},
        {"variant": "b", "impressions": 4000, "clicks": 160},
    ]

    answer = api.post(
        f"{V1}/backtests/", {"tests": [{"experiment": "one", "variants": variants}], "runs": 5}
    ).json()

    assert answer["tests"] == 1
    assert answer["policies"]["thompson"]["regret_ratio"] < 0.8


def _valued(variant: str, total: int, **fields: Any) -> dict[str, Any]:
    totals = {"impressions": 4000, "conversions": 80, "value_sum": total, "value_squares": total * total / 40}
    return {"variant": variant, **totals, **fields}


def test_backtests__values__answer_regret_in_value(api: APIClient) -> None:
    variants = [_valued("control", 4000), _valued("b", 2000), _valued("b", 3500)]
    body = {"tests": [{"experiment": "one", "variants": variants}], "goal": "value_per_impression"}

    refused = api.post(f"{V1}/backtests/", body).json()
    answer = api.post(f"{V1}/backtests/", {**body, "repeated": "sum"}).json()

    assert [issue["field"] for issue in refused["errors"]] == ["tests[0].variants[2].variant"]
    assert answer["policies"]["thompson"]["regret"] > 0


def test_backtests__numbers_that_the_goal_needs__are_asked_for_by_name(api: APIClient) -> None:
    variants = [{"variant": "control", "impressions": 10}, _valued("b", 5, value_squares=1)]
    body = {"tests": [{"experiment": "one", "variants": variants}]}

    by_clicks = api.post(f"{V1}/backtests/", body)
    by_value = api.post(f"{V1}/backtests/", {**body, "goal": "value_per_impression"}).json()

    assert by_clicks.status_code == 422
    assert [issue["field"] for issue in by_clicks.json()["errors"]] == [
        "tests[0].variants[0].clicks",
        "tests[0].variants[1].clicks",
    ]
    assert [issue["field"] for issue in by_value["errors"]] == [
        "tests[0].variants[0].conversions",
        "tests[0].variants[0].value_sum",
        "tests[0].variants[0].value_squares",
    ]
