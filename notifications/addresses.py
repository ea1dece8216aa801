"""Addresses that a webhook may call. An installation runs inside a network; no user may make it call a host in there.

A name is looked up once for each attempt, every address that it has must be public, and the connection goes to the
address that was checked: a name that answers differently the second time gains nothing.
"""

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Addresses of the other family inside these reach hosts by translation: what they hold is looked at.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# What the Internet routes of IPv6. Outside it stand old and local forms that Python takes for
# public: fec0::1, ::7f00:1.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Python takes these for public, some as they once were. Nobody's hook is there, and the last one leads a virtual
# machine of Azure to the machine that it runs on.
_SPECIAL = [
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20", "168.63.129.16/32")
]


class RefusedAddressError(Exception):
    """The URL, or where it leads, is not called."""


def url_problem(url: str) -> str | None:
    """Name the problem of a URL by itself, or None."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return _("This is not a URL.")
    schemes = {"https", "http"} if settings.WEBHOOK_ALLOW_PRIVATE else {"https"}
    if parts.scheme not in schemes or not parts.hostname:
        return _("The URL must begin with %(schemes)s:// and name a host.") % {
            "schemes": ":// / ".join(sorted(schemes))
        }
    if "@" in parts.netloc:
        return _("The URL must not have a user name, a password or an @ before its host.")
    if port == 0:
        return _("The URL's port must be between 1 and 65535. Without one it is the usual port.")
    if not url.isascii() or not url.isprintable() or " " in url:
        return _("The URL must be written in visible ASCII characters.")
    return None


def checked_address(parts: SplitResult) -> tuple[str, int]:
    """The address and port to connect to; raises RefusedAddressError, and OSError where the name is unknown."""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    addresses = [str(info[4][0]) for info in found]
    if not settings.WEBHOOK_ALLOW_PRIVATE:
        for address in addresses:
            if not is_public(ipaddress.ip_address(address.partition("%")[0])):
                raise RefusedAddressError(f"{parts.hostname} leads to {address}, which is not public")
    return addresses[0], port


def is_public(address: Address) -> bool:
    inner = _embedded(address)
    if inner is not None:
        return is_public(inner)
    if any(address in network for network in _SPECIAL):
        return False
    is_routed = address.version == 4 or address in _GLOBAL_UNICAST
    return is_routed and address.is_global and not address.is_multicast


def _embedded(address: Address) -> Address | None:
    """The IPv4 address that is embedded in an IPv6 one."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
