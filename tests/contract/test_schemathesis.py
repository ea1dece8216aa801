"""Run Schemathesis with every check against the server: the API keeps its own contract.

schemathesis.toml holds the one exception. `SCHEMATHESIS_EXAMPLES` sets how many examples are tried for each call.

Each part runs on one database, which saves ./dev test a minute of computing: v1 on PostgreSQL, which refuses more of
what is sent; the others on SQLite. tests/resilience/test_bad_input.py sends anything to v1 on SQLite. Where
`SCHEMATHESIS_EXAMPLES` is set, v1 and the classic calls run on both.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from django.db import connection
from pytest_django import Settings

from bandit_project.models import ApiKey
from tests.conftest import ROOT
from tests.factory import allocate, make_running

_COMPUTED = "^/api/v1/(simulations|backtests)/"
_V1 = ("--include-path-regex", "^/api/v1/", "--exclude-path-regex", _COMPUTED)
PARTS = {
    "classic": ("--exclude-path-regex", "^/(api/v1|ofrep)/"),
    "ofrep": ("--include-path-regex", "^/ofrep/"),
    # The phases of v1, which takes as long as all the others together, are apart: they need not wait for each other.
    "v1 at its edges": (*_V1, "--phases", "examples,coverage"),
    "v1 at random": (*_V1, "--phases", "fuzzing"),
    "v1 in sequences": (*_V1, "--phases", "stateful"),
    "computed": ("--include-path-regex", _COMPUTED),
}
_EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES")
_on_postgresql = pytest.mark.skipif(
    _EXAMPLES is None and connection.vendor == "sqlite", reason="runs on PostgreSQL; SCHEMATHESIS_EXAMPLES=6"
)


def _mark(part: str) -> Any:
    if part.startswith("v1"):
        return _on_postgresql
    # The computed ones compute from the request alone.
    return pytest.mark.database_free if part == "computed" or _EXAMPLES is None else ()


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("part", [pytest.param(part, marks=_mark(part)) for part in PARTS])
def test_api__schemathesis_with_all_checks__finds_no_failure(
    live_server: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, part: str
) -> None:
    # The largest simulation takes ten seconds of a core; a tenth shows the same contract.
    monkeypatch.setattr("allocation.lab.requests.MAX_VARIANT_DECISIONS", 50_000)
    settings.API_KEY_REQUIRED = True
    settings.ALLOW_RESET = True
    _, key = ApiKey.objects.create_key(name="contract", scope="admin")
    allocate(make_running())

    # Schemathesis itself waits for the schema ten seconds at most, and a busy machine needs longer.
    schema = tmp_path / "schema.json"
    schema.write_bytes(requests.get(f"{live_server.url}/schema?format=json", timeout=300).content)

    result = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            "run",
            schema,
            *("--url", live_server.url),
            # By one thread: two that parse Python at once, as hypothesis does for its reports, can fail in Python 3.11.
            *("--checks", "all", "--seed", "1", "--workers", "1", "--continue-on-failure", "--no-color"),
            *("--max-examples", _EXAMPLES or "6"),
            *("--header", f"Authorization: Api-Key {key}"),
            *("--request-timeout", "60", "--max-response-time", "60"),
            # On a busy machine it takes long to think of data, which says nothing of the API.
            *("--suppress-health-check", "too_slow"),
            *PARTS[part],
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )

    assert result.returncode == 0, result.stdout[-6000:]
    found = re.search(r"(\d+) generated, (\d+) passed", result.stdout)
    assert found is not None
    assert int(found[1]) > (20 if part in ("ofrep", "v1 in sequences") else 100)
