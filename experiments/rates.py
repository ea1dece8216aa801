"""How often something has happened lately: counted by all servers together with REDIS_URL, else in each worker."""

import ipaddress
from typing import Any

from axes.helpers import get_client_ip_address
from django.core.cache import caches
from django.http import HttpRequest
from django.utils.connection import ConnectionProxy

# The cache that all servers share where there is a Redis; throttles count there, too.
shared: Any = ConnectionProxy(caches, "shared")


def count_within(key: str, seconds: int) -> int:
    """Count once more; return how often since the first within so many seconds."""
    shared.add(key, 0, seconds)
    try:
        return int(shared.incr(key))
    except ValueError:  # it ran out between the two calls
        return 1


def counted(key: str) -> int:
    return int(shared.get(key) or 0)


def caller_of(request: HttpRequest) -> str:
    """The network that a caller without an account is counted by, as the outermost trusted proxy saw it."""
    return network_of(get_client_ip_address(request))


def network_of(address: str) -> str:
    """The address, of IPv6 its network: who has one address there has all of its 2^64."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((found, 64), strict=False) if found.version == 6 else found)
