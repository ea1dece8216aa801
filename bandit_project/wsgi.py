"""The WSGI application. Servers do not run Django's checks, so an invalid configuration stops the start here."""

import os
import sys

from django.core import checks
from django.core.wsgi import get_wsgi_application

from bandit_project.server.connections import ask_connections_once, keep_sqlite_open
from bandit_project.server.truncated_bodies import reject_truncated_bodies

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bandit_project.settings")

# gunicorn stops at this exit code. At any other it would start the worker again and again.
_CANNOT_START = 3

application = reject_truncated_bodies(get_wsgi_application())

errors = [message for message in checks.run_checks() if message.is_serious()]
if errors:
    for error in errors:
        print(error, file=sys.stderr)
    sys.exit(_CANNOT_START)

ask_connections_once()
keep_sqlite_open()
