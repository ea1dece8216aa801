import datetime as dt
import os
from pathlib import Path

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.utils import translation
from pytest_django import Settings
from rest_framework.test import APIClient

from tests.exploration import adapt, load_profile
from tests.factory import NOW

ROOT = Path(__file__).resolve().parent.parent

_DATABASE_FREE = (
    "tests/allocation/engine",
    "tests/browser",
    "tests/dashboard/lab",
    "tests/deployment",
    "tests/resilience",
)

# A second thread of numpy's would only wait for the first: the test processes keep every core busy. numpy reads this
# once, so it is set here, before pytest starts those processes.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Before any test is loaded: hypothesis completes the settings of a test from the profile of that moment.
load_profile()

# Production's million rounds cost a third of a second per login, to slow down guessing. The algorithm stays the same.
PBKDF2PasswordHasher.iterations = 1000


def pytest_report_header() -> str:
    from django.db import connection

    return f"database: {connection.vendor}"


def _is_database_free(path: Path) -> bool:
    return any(folder in path.as_posix() for folder in _DATABASE_FREE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Load no folder of which nothing would run: the libraries of its tests take seconds in each process."""
    chosen = config.getoption("markexpr") == "not database_free"
    return True if chosen and _is_database_free(collection_path) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whole folders of tests that say nothing of a database, even where a page reads from one.

    Long tests come first. Then pytest-django puts those that empty the database behind the others, whose order stays.
    """
    for item in items:
        if _is_database_free(item.path):
            item.add_marker(pytest.mark.database_free)
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    adapt(item.function for item in items if isinstance(item, pytest.Function))


@pytest.fixture(autouse=True)
def english() -> None:
    """Begin in English: a page that a test has asked for in another language leaves that one active."""
    translation.activate("en")


@pytest.fixture(autouse=True)
def empty_cache(settings: Settings) -> None:
    """Empty the cache and the snapshot: the next test gets the ids of one that was rolled back.

    Workers ask the database at each call, so that a test sees what it has just changed.
    """
    from django.core.cache import caches

    from allocation.ledger import before
    from bandit_project.api import keys, served
    from serving import snapshot

    for name in settings.CACHES:
        caches[name].clear()
    snapshot.forget()
    before.forget()
    served.forget()
    keys.forget()
    settings.SERVE_REMEMBER_SECONDS = settings.API_KEY_REMEMBER_SECONDS = 0


@pytest.fixture
def api() -> APIClient:
    return APIClient()


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> dt.date:
    """Set the clock of views and commands to one moment; its day."""
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)
    return NOW.date()
