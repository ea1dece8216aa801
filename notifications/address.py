"""The address of the installation, for what is written outside a request."""

from django.conf import settings


def public_address(path: str) -> str:
    """Put the first host that is served before a path; empty where none is named."""
    host = next((host for host in settings.ALLOWED_HOSTS if host[0] not in "*."), "")
    scheme = "https" if settings.SECURE_SSL_REDIRECT else "http"
    return f"{scheme}://{host}{path}" if host else ""
