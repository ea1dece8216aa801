"""The test's own database, for processes that a test starts."""

import os
import re

from django.db import connection


def database_url() -> str:
    """DATABASE_URL of the database that the running test uses."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return re.sub(r"/[^/?]+\?", f"/{name}?", os.environ["DATABASE_URL"], count=1)
