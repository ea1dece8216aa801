"""Rows to send, and reading what is answered."""

from typing import Any

from experiments.models import Experiment
from tests.factory import TODAY

V1 = "/api/v1"

DAY = TODAY.isoformat()


def row_of(
    experiment: Experiment, name: str = "control", impressions: int = 10, clicks: int = 1
) -> dict[str, Any]:
    place = {"experiment_id": experiment.key, "date": DAY, "variant_name": name}
    return {**place, "impressions": impressions, "clicks": clicks}


def refused_fields(response: Any) -> list[str]:
    assert response.status_code == 422, response.content
    return [issue["field"] for issue in response.json()["errors"]]
