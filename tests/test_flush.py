"""Tables are emptied over the connection that is asked, whichever database is the default."""

import pytest
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.core.management.color import no_style
from django.db import connection, transaction
from django.utils import timezone

from tests.flush import insertions


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite flushes as Django does")
def test_flush__of_another_connection__looks_at_what_that_one_sees() -> None:
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("INSERT INTO django_session VALUES ('one', '', %s)", [timezone.now()])
        tables = [Session._meta.db_table, Group._meta.db_table, Group.permissions.through._meta.db_table]
        statements = other.ops.sql_flush(no_style(), tables)
    finally:
        other.close()

    assert 'DELETE FROM "django_session"' in statements


@pytest.mark.django_db
def test_insertions__empty_table__are_none() -> None:
    with transaction.atomic():
        Group.objects.all().delete()

        assert insertions([Group._meta.db_table]) == []
