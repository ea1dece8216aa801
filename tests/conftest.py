import datetime as dt
from pathlib import Path

import hypothesis
import pytest
from rest_framework.test import APIClient

from tests.factory import NOW

ROOT = Path(__file__).resolve().parent.parent

# How long something takes is no matter of a test, least of all on a busy machine.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_report_header() -> str:
    from django.db import connection

    return f"database: {connection.vendor}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The engine's tests touch no database, and a browser shows the same from either: once is enough."""
    for item in items:
        if any(folder in item.path.as_posix() for folder in ("tests/allocation/engine", "tests/browser")):
            item.add_marker(pytest.mark.database_free)


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    """A rolled-back test leaves the next one the same ids."""
    from django.core.cache import cache

    cache.clear()


@pytest.fixture
def api() -> APIClient:
    return APIClient()


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> dt.date:
    """The day all tests with a clock live on: views and commands see this now."""
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)
    return NOW.date()
