"""How often something has happened lately, counted in the cache: in each worker, unless the cache is shared."""

import ipaddress

from axes.helpers import get_client_ip_address
from django.core.cache import cache
from django.http import HttpRequest


def count_within(key: str, seconds: int) -> int:
    """Count once more; return how often since the first within so many seconds."""
    cache.add(key, 0, seconds)
    try:
        return int(cache.incr(key))
    except ValueError:  # it ran out between the two calls
        return 1


def counted(key: str) -> int:
    return int(cache.get(key) or 0)


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
