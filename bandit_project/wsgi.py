"""The WSGI application. Servers do not run Django's checks; a start with a bad configuration fails here."""

import os

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bandit_project.settings")

application = get_wsgi_application()

errors = [message for message in checks.run_checks() if message.is_serious()]
if errors:
    raise ImproperlyConfigured("\n".join(str(error) for error in errors))
