"""Connections that need no test before they are used."""

from typing import Any


def trust(connection: Any) -> None:
    """Spare the query by which Django tests a connection before its first use; its stubs know no such attribute."""
    connection.health_check_done = True
