"""Limits on calls without an account: as many wrong links as wrong passwords, and so many reports a minute.

They are counted by address, in each worker: what is guarded against is noise and load, as no token can be guessed.
"""

from axes.helpers import get_client_ip_address
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest

_REPORTS_A_MINUTE = 30
_MINUTE = 60


def seconds_to_wait(request: HttpRequest) -> int:
    """Return for how long this address gets no report; 0 where it may have one."""
    if (cache.get(_wrong_key(request)) or 0) >= settings.AXES_FAILURE_LIMIT:
        return int(settings.AXES_COOLOFF_TIME.total_seconds())
    shown = _counted(f"reports-{get_client_ip_address(request)}", _MINUTE)
    return _MINUTE if shown > _REPORTS_A_MINUTE else 0


def count_wrong_link(request: HttpRequest) -> None:
    _counted(_wrong_key(request), int(settings.AXES_COOLOFF_TIME.total_seconds()))


def _wrong_key(request: HttpRequest) -> str:
    return f"wrong-reports-{get_client_ip_address(request)}"


def _counted(key: str, seconds: int) -> int:
    """Count one more within the time that began with the first."""
    cache.add(key, 0, seconds)
    try:
        return int(cache.incr(key))
    except ValueError:  # it ran out between the two calls
        return 1
