"""What the documents show is run as written, against a real server."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from pytest_django import Settings

from bandit_project.models import ApiKey
from tests.conftest import ROOT

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def key(settings: Settings) -> str:
    settings.API_KEY_REQUIRED = settings.ALLOW_RESET = True
    return str(ApiKey.objects.create_key(name="documents", scope="admin")[1])


def test_api_document__every_line__is_answered(live_server: Any, key: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/api.md").read_text(), re.S)
    script = f"set -eu\nAPI={live_server.url}\nKEY={key}\n" + "".join(blocks)
    assert script.count("curl ") > 35

    result = subprocess.run(["sh", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)

    assert result.returncode == 0, result.stdout[-1500:] + result.stderr


def test_api_document__every_call_of_the_schema__has_a_line(client: Client) -> None:
    text = (ROOT / "docs/api.md").read_text()
    lines = [line for line in text.splitlines() if "curl " in line]
    document: dict[str, Any] = yaml.safe_load(client.get("/schema").content)

    for path, operations in document["paths"].items():
        pattern = re.compile(r'"\$API' + re.sub(r"\\{[^/]*\\}", "[^/]+", re.escape(path)) + r'(\?[^"]*)?"')
        found = {_method(line) for line in lines if pattern.search(line)}
        assert {method.upper() for method in operations} <= found, path


def _method(line: str) -> str:
    """As curl chooses it."""
    named = re.search(r" -X ([A-Z]+)", line)
    return named[1] if named else "POST" if re.search(r" -[dF] ", line) else "GET"


def test_example_client__against_a_server__prints_an_explained_allocation(live_server: Any, key: str) -> None:
    command = [sys.executable, str(ROOT / "scripts/example_requests.py"), live_server.url, key]

    result = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "control: 30.00%, held by: cap_down" in result.stdout
    assert "blue leads" in result.stdout
