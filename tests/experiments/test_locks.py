"""Locks by name: who holds one, and when it ends."""

import pytest
from django.db import connection

from experiments.locks import only_one

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
