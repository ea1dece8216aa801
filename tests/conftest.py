import datetime as dt
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.servers.basehttp import WSGIRequestHandler
from django.test import override_settings
from django.utils import translation
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from tests.exploration import adapt, load_profile
from tests.factory import NOW

ROOT = Path(__file__).resolve().parent.parent

_DATABASE_FREE = (
    "tests/allocation/engine",
    "tests/browser",
    "tests/dashboard",
    "tests/deployment",
    "tests/resilience",
)
# What pages say does not depend on the database, except in these: order and search, sums and pages of many rows, files
# in blocks, JSON. tests/dashboard/test_every_page.py opens all pages, lists and files on both.
ON_BOTH = (
    "tests/dashboard/__init__.py",
    "tests/dashboard/conftest.py",
    "tests/dashboard/experiment/__init__.py",
    "tests/dashboard/experiment/test_archive.py",
    "tests/dashboard/experiment/test_calendar.py",
    "tests/dashboard/experiment/test_columns.py",
    "tests/dashboard/experiment/test_data.py",
    "tests/dashboard/experiment/test_explore.py",
    "tests/dashboard/experiment/test_history.py",
    "tests/dashboard/experiment/test_one_story.py",
    "tests/dashboard/experiment/test_traffic.py",
    "tests/dashboard/experiment/test_upload.py",
    "tests/dashboard/experiment/test_upload_dates.py",
    "tests/dashboard/experiment/test_upload_words.py",
    "tests/dashboard/test_every_page.py",
    "tests/dashboard/test_experiment_list.py",
    "tests/dashboard/test_list_ended.py",
    "tests/dashboard/test_list_file.py",
    "tests/dashboard/test_list_totals.py",
)

# A second thread of numpy's would only wait for the first: the test processes keep every core busy. numpy reads this
# once, so it is set here, before pytest starts those processes.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Before any test is loaded: hypothesis completes the settings of a test from the profile of that moment.
load_profile()

# What tests are made of stays (pytest_collection_finish), so to look for garbage meanwhile would find next to nothing.
gc.disable()

# Production's million rounds cost a third of a second per login, to slow down guessing. The algorithm stays the same.
PBKDF2PasswordHasher.iterations = 1000

# The live server writes the head of an answer, then its body. The second would wait 40 ms for the client to confirm the
# first: in tests of browsers and Schemathesis, which keep their connections, most of the time.
WSGIRequestHandler.disable_nagle_algorithm = True


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        from tests.reports import tell_little

        tell_little(config)


def pytest_report_header() -> str:
    from django.db import connection

    return f"database: {connection.vendor}"


def _is_database_free(path: Path) -> bool:
    place = path.as_posix()
    return any(folder in place for folder in _DATABASE_FREE) and not place.endswith(ON_BOTH)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Load no file of which nothing would run: the libraries of its tests take seconds in each process."""
    chosen = config.getoption("markexpr") == "not database_free"
    return True if chosen and collection_path.is_file() and _is_database_free(collection_path) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of folders that say nothing of a database, even where a page reads from one.

    Long tests come first. Then pytest-django puts those that empty the database behind the others, whose order stays.
    """
    for item in items:
        if _is_database_free(item.path):
            item.add_marker(pytest.mark.database_free)
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    adapt(item.function for item in items if isinstance(item, pytest.Function))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Distribute whole parts of files where ./dev test distributes groups."""
    from tests.schedule import ByFile

    return ByFile(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> None:
    """Empty the database at little cost after each test that commits; whatever ran before, there are the roles."""
    from pytest_django.fixtures import _get_databases_for_setup

    from tests.flush import flush_quickly

    aliases, _ = _get_databases_for_setup(request.session.items)
    if not aliases:
        return  # no test asks for a database, so that none has been made: the connection is the developer's own
    with django_db_blocker.unblock():
        flush_quickly()


def pytest_collection_finish() -> None:
    """Pass over what has been collected when Python looks for garbage: 400,000 objects that stay.

    It looks seldom: at its own 700 new objects it took 4% of the tests' time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def originals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give what is made once for all processes of a run a folder."""
    from tests.processes.originals import folder_of_run, originals_kept

    with originals_kept(folder_of_run(tmp_path_factory) / "originals"):
        yield


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """Migrate once for all processes of a run, in the folder that they share."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    from tests.migrated import migrated_once

    # The copy is removed at the end, which the block around the tests must not forbid.
    folder = tmp_path_factory.getbasetemp().parent
    with django_db_blocker.unblock(), migrated_once(folder), django_db_blocker.block():
        yield


@pytest.fixture(scope="session", autouse=True)
def nothing_remembered() -> Iterator[None]:
    """Let workers ask the database at each call, so that a test sees what it has just changed."""
    with override_settings(SERVE_REMEMBER_SECONDS=0, API_KEY_REMEMBER_SECONDS=0):
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin each test with nothing kept, because it gets the ids of one that was rolled back, and in English.

    A page that a test has asked for in another language leaves that one active. A fixture would cost twice as much.
    """
    translation.activate("en")
    forget_all()


def forget_all() -> None:
    """Empty what this process keeps in memory of a database."""
    from django.conf import settings
    from django.core.cache import caches

    from allocation.api.classic import views
    from allocation.ledger import before
    from bandit_project.api import keys, served
    from serving import snapshot

    for name in settings.CACHES:
        caches[name].clear()
    snapshot.forget()
    before.forget()
    views.forget()
    served.forget()
    keys.forget()


@pytest.fixture
def api() -> APIClient:
    return APIClient()


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> dt.date:
    """Set the clock of views and commands to one moment; its day."""
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)
    return NOW.date()
