"""How many computations a person may ask for: THROTTLE_LAB, as for a key of the API. Each takes up to two seconds."""

import math
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from experiments.rates import caller_of, shared


def seconds_to_wait(request: HttpRequest) -> int:
    """Count one more; for how long nothing is computed for this person, 0 where it is."""
    if settings.THROTTLE_RATES["lab"] is None:
        return 0
    throttle = _LabThrottle()
    if throttle.allow_request(cast(Request, request), cast(APIView, None)):
        return 0
    return max(math.ceil(throttle.wait() or 1), 1)


def refusal(seconds: int) -> str:
    return _("Too many computations. Try again in %(seconds)s seconds.") % {"seconds": seconds}


class _LabThrottle(SimpleRateThrottle):
    """Counts people with a login, visitors by their address; people's sessions share theirs with the API."""

    scope = "lab"
    cache = shared

    def get_rate(self) -> Any:
        return settings.THROTTLE_RATES["lab"]

    def get_cache_key(self, request: Any, view: Any) -> str:
        if request.user.is_authenticated:
            return f"throttle-lab-user-{request.user.pk}"
        return f"throttle-lab-address-{caller_of(request)}"
