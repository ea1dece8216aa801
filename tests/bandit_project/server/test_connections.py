"""When a database connection is asked whether it still lives."""

from collections.abc import Iterator

import pytest
from django.db import connection
from django.db import connections as django_connections

from bandit_project.server.connections import FRESH_SECONDS, _note_answers, _trust_fresh_ones

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def connected() -> Iterator[None]:
    connection.ensure_connection()
    yield
    connection.answered_at = None  # type: ignore[attr-defined]  # ours


def _will_be_asked() -> bool:
    """As a request begins: Django orders a check, and ours may take that back."""
    vars(django_connections["default"])["health_check_done"] = False
    _trust_fresh_ones()
    return not vars(django_connections["default"])["health_check_done"]


def test_connection__used_a_moment_ago__is_not_asked() -> None:
    _note_answers()

    assert not _will_be_asked()


def test_connection__idle_for_longer__is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    _note_answers()
    later = connection.answered_at + FRESH_SECONDS  # type: ignore[attr-defined]
    monkeypatch.setattr("time.monotonic", lambda: later)

    assert _will_be_asked()


def test_connection__that_failed__is_asked() -> None:
    connection.errors_occurred = True
    _note_answers()
    connection.errors_occurred = False

    assert _will_be_asked()
