"""The documents' commands and code, run as written against a real server, and their tables against the code."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from pytest_django import Settings

from allocation.engine.assignment import assign_many
from bandit_project.models import ApiKey
from experiments.settings_schema import ALGORITHM_SETTINGS, AlgorithmSetting
from tests.conftest import ROOT

_with_database = pytest.mark.django_db(transaction=True)


@pytest.fixture
def key(settings: Settings) -> str:
    settings.API_KEY_REQUIRED = settings.ALLOW_RESET = True
    return str(ApiKey.objects.create_key(name="documents", scope="admin")[1])


@_with_database
def test_api_document__every_line__is_answered(live_server: Any, key: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/api.md").read_text(), re.S)
    script = f"set -eu\nAPI={live_server.url}\nKEY={key}\n" + "".join(blocks)
    assert script.count("curl ") > 35

    result = subprocess.run(["sh", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)

    assert result.returncode == 0, result.stdout[-1500:] + result.stderr


@pytest.mark.database_free
@_with_database
def test_api_document__every_call_of_the_schema__has_a_line(client: Client) -> None:
    text = (ROOT / "docs/api.md").read_text()
    lines = [line for line in text.splitlines() if "curl " in line]
    document: dict[str, Any] = yaml.load(client.get("/schema").content, yaml.CSafeLoader)

    for path, operations in document["paths"].items():
        pattern = re.compile(r'"\$API' + re.sub(r"\\{[^/]*\\}", "[^/]+", re.escape(path)) + r'(\?[^"]*)?"')
        found = {_method(line) for line in lines if pattern.search(line)}
        assert {method.upper() for method in operations} <= found, path


def _method(line: str) -> str:
    """Return the method that curl chooses for a line."""
    named = re.search(r" -X ([A-Z]+)", line)
    return named[1] if named else "POST" if re.search(r" -[dF] ", line) else "GET"


@_with_database
def test_example_client__against_a_server__prints_an_explained_allocation(live_server: Any, key: str) -> None:
    command = [sys.executable, str(ROOT / "scripts/example_requests.py"), live_server.url, key]

    result = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "control: 30.00%, held by: cap_down" in result.stdout
    assert "blue leads" in result.stdout


@pytest.mark.database_free
def test_api_document__code_that_assigns__agrees_with_the_engine() -> None:
    namespace: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", (ROOT / "docs/api.md").read_text(), re.S)[0], namespace)  # noqa: S102
    shares = {"control": 0.1, "green": 0.65, "blue": 0.25, "inactive": 0.0}
    units = [f"visitor-{number}" for number in range(2000)] + ["", "ü", "a b"]

    assigned = [namespace["assign"]("button", shares, unit) for unit in units]

    assert assigned == assign_many("button", shares, units)
    assert set(assigned) == {"control", "green", "blue"}


@pytest.mark.database_free
def test_configuration_document__defaults_of_the_algorithm__are_those_of_the_schema() -> None:
    chapter = (ROOT / "docs/configuration.md").read_text().split("## The algorithm's defaults")[1]
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\S+) \| ([^|]+) \|", chapter, re.M)

    assert [name for name, *_ in rows] == [setting.variable for setting in ALGORITHM_SETTINGS.values()]
    for (name, default, written), setting in zip(rows, ALGORITHM_SETTINGS.values(), strict=True):
        assert (None if default == "blank" else yaml.safe_load(default)) == setting.default, name
        assert written.split(";")[0] == _range_in_the_table(setting), name


def _range_in_the_table(setting: AlgorithmSetting) -> str:
    """Return the range as the document writes it, which leaves "a whole number from" out."""
    return re.sub(r"^(a whole number )?(from )?", "", setting.range_text)


@pytest.mark.database_free
def test_changelog__first_version__is_that_of_the_project() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    version = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.M)

    assert version is not None
    assert headings[0].split()[0] == version[1]
    assert [
        h for h in headings if not re.fullmatch(r"\d+\.\d+\.\d+ \((unreleased|\d{4}-\d\d-\d\d)\)", h)
    ] == []


@pytest.mark.database_free
def test_operations_document__commands__are_those_that_there_are() -> None:
    chapter = (ROOT / "docs/operations.md").read_text().split("\n## Commands\n")[1].split("\n## ")[0]
    named = set(re.findall(r"^    (\w+)", chapter, re.M))
    ours = {path.stem for path in ROOT.glob("*/management/commands/[a-z]*.py")}

    assert named == ours | {"migrate"}
