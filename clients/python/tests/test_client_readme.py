"""The README's examples run as they are, against a service at another address."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from bandit_client import Client
from fake_service import FakeService

pytest.importorskip("openfeature")

from openfeature import api

_HOME = Path(__file__).parents[1]
_README = (_HOME / "README.md").read_text(encoding="utf-8")


def test_readme__examples_of_the_client_and_openfeature__count_what_they_say(
    service: FakeService, tmp_path: Path
) -> None:
    first, openfeature, *_others = re.findall(r"```python\n(.*?)```", _README, re.DOTALL)
    first = first.replace("https://bandit.example.com", service.url).replace("/var/lib/shop", str(tmp_path))
    scope: dict[str, Any] = {"api_key": "key", "visitor_id": "visitor-1"}

    exec(first, scope)  # noqa: S102
    client = scope["client"]
    assert isinstance(client, Client)
    try:
        exec(openfeature, scope | {"visitor_id": "visitor-2"})  # noqa: S102
    finally:
        api.clear_providers()
        client.close()

    assert [service.total(kind) for kind in ("impressions", "clicks", "conversions")] == [2, 2, 2]
    assert service.values == ["12.5000", "12.5000"]


def test_readme__installing__never_takes_the_public_package_of_other_people() -> None:
    project = tomllib.loads((_HOME / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    installed = re.findall(r"^ +pip (?:install|wheel) .*$", _README, re.MULTILINE)

    assert project["name"] != "bandit-client"
    assert len(installed) == 3
    assert all("./clients/python" in line for line in installed)
