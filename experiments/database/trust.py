"""Connections that need no test before they are used."""

from django.db.backends.base.base import BaseDatabaseWrapper


def trust(connection: BaseDatabaseWrapper) -> None:
    """Spare the query by which Django tests a connection before its first use in a request."""
    connection.health_check_done = True  # type: ignore[attr-defined]  # Django's, missing from the stubs
