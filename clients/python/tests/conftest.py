import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from bandit_client import Client, stream
from fake_service import FakeService, MakeClient, fake_service

_FOLDER = str(Path(__file__).parent) + os.sep


def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Say that these tests need no database, where the marker is known: within the service's repository."""
    if any(line.startswith("database_free") for line in config.getini("markers")):
        for item in items:
            if str(item.path).startswith(_FOLDER):
                item.add_marker("database_free")


@pytest.fixture
def service() -> Iterator[FakeService]:
    with fake_service() as found:
        yield found


@pytest.fixture
def make_client(service: FakeService) -> Iterator[MakeClient]:
    """Make clients whose threads do nothing by themselves: the tests flush."""
    with ExitStack() as stack:

        def make(**options: Any) -> Client:
            given = {"flush_interval": 3600, "poll_interval": 3600, "timeout": 10, **options}
            client = stack.enter_context(Client(service.url, "key", **given))
            assert client.wait_until_ready(10)
            return client

        yield make


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let retries wait for nothing, so that no test waits."""
    for name in ("HOLD_SECONDS", "LONGEST_PAUSE", "_KEY_IN_USE_PAUSE"):
        monkeypatch.setattr(stream, name, 0.0)
