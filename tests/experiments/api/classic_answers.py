"""Reading what the classic calls answer."""

import json
from typing import Any

from tests.factory import TODAY

DAY = TODAY.isoformat()


def problem_of(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(response.content)
    assert {"type", "title", "status", "detail"} <= body.keys()
    assert body["status"] == status
    return body


def refused_fields(response: Any) -> list[str]:
    return [issue["field"] for issue in problem_of(response, 422)["errors"]]
