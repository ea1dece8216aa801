"""Reading the lines of dashboard/lab/stream.py."""

import json
from typing import Any


def messages_of(response: Any) -> list[dict[str, Any]]:
    assert response["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]
