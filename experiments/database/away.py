"""Is the database away, or is it one chunk that fails?"""

from django.db import Error, InterfaceError, OperationalError, connection


def is_away(error: Exception) -> bool:
    """True where every query would fail now; a lock or a deadlock concerns one chunk only."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    try:
        connection.ensure_connection()
        return not connection.is_usable()
    except Error:
        return True
