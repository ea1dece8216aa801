"""The environment of an installation in production."""

import os
import secrets


def production(database: str, **more: str) -> dict[str, str]:
    """The variables of an installation whose callers need no key, and none of the tests' own, such as DEBUG."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "DATABASE_URL": database,
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ALLOWED_HOSTS": "127.0.0.1",
        "SECURE_SSL_REDIRECT": "false",
        "API_KEY_REQUIRED": "false",
        "THROTTLE_READ": "1000000/min",
        "THROTTLE_WRITE": "1000000/min",
        "LOG_LEVEL": "WARNING",
        **more,
    }
