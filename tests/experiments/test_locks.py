"""Locks by name: who holds one, and when it ends."""

from pathlib import Path

import pytest
from django.db import connection

from experiments.database.locks import only_one
from tests.bandit_project.ops.database import database_url
from tests.bandit_project.starts import start

pytestmark = pytest.mark.django_db


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_only_one__on_postgresql__asks_within_a_minute_whether_the_holder_is_still_there() -> None:
    """By default it asks after two hours: so long a machine that died would have kept the lock."""
    with only_one("anything") as free, connection.cursor() as cursor:
        assert free
        cursor.execute("SELECT name, source FROM pg_settings WHERE name LIKE 'tcp_keepalives_%'")
        assert set(cursor.fetchall()) == {
            ("tcp_keepalives_idle", "session"), ("tcp_keepalives_interval", "session"),
            ("tcp_keepalives_count", "session"),
        }  # fmt: skip


_ASK = """
import django
django.setup()
from experiments.database.locks import only_one
with only_one("anything") as free:
    print(free)
"""


@pytest.mark.django_db(transaction=True)
def test_only_one__held_in_another_container__is_not_free(tmp_path: Path) -> None:
    """Containers share the database and not the folder for temporary files."""
    with only_one("anything") as free:
        assert free
        asked = start(_ASK, DEBUG="true", DATABASE_URL=database_url(), TMPDIR=str(tmp_path))

    assert asked.stdout.strip() == "False", asked.stderr
