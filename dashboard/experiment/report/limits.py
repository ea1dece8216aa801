"""Limits on calls without an account: as many wrong links as wrong passwords, and so many reports a minute.

They are counted by address, in each worker: what is guarded against is noise and load, as no token can be guessed.
"""

from django.conf import settings
from django.http import HttpRequest

from experiments.rates import caller_of, count_within, counted

_REPORTS_A_MINUTE = 30
_MINUTE = 60


def seconds_to_wait(request: HttpRequest) -> int:
    """Return for how long this address gets no report; 0 where it may have one."""
    if counted(_wrong_key(request)) >= settings.AXES_FAILURE_LIMIT:
        return int(settings.AXES_COOLOFF_TIME.total_seconds())
    shown = count_within(f"reports-{caller_of(request)}", _MINUTE)
    return _MINUTE if shown > _REPORTS_A_MINUTE else 0


def count_wrong_link(request: HttpRequest) -> None:
    count_within(_wrong_key(request), int(settings.AXES_COOLOFF_TIME.total_seconds()))


def _wrong_key(request: HttpRequest) -> str:
    return f"wrong-reports-{caller_of(request)}"
