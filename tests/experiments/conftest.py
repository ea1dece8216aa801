import pytest
from django.db import connection


@pytest.fixture
def on_postgresql() -> None:
    """Skip a test of prepared statements where there are none."""
    connection.ensure_connection()
    if connection.vendor != "postgresql":
        pytest.skip("a cursor runs them")
