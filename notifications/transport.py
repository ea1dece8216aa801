"""An HTTP POST to an address that was checked: short, no redirects, and only the status of the answer is kept."""

import hashlib
import hmac
import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from urllib.parse import urlsplit

from notifications.addresses import RefusedAddressError, checked_address, url_problem

_CONNECT_SECONDS = 3.0
# For the whole of it: a receiver that sends its answer byte by byte holds up every delivery behind it.
_TOTAL_SECONDS = 10.0


class _Pinned(http.client.HTTPConnection):
    """Connects to the checked address, whatever the name says by now; the name stays in Host and in TLS."""

    def __init__(self, host: str, address: tuple[str, int], *, tls: bool) -> None:
        super().__init__(host, address[1], timeout=_CONNECT_SECONDS)
        self._address, self._tls = address, tls
        self.default_port = 443 if tls else 80  # where it is left out of the Host header

    def connect(self) -> None:
        plain = socket.create_connection(self._address, _CONNECT_SECONDS)
        plain.settimeout(_TOTAL_SECONDS)
        self.sock = plain
        if self._tls:
            self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self.host)

    def cut(self) -> None:
        """Shut the socket down from another thread: a read that waits for it fails."""
        if self.sock is not None:
            self.sock.shutdown(socket.SHUT_RDWR)


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """The status of the answer. Raises RefusedAddressError, OSError, http.client.HTTPException."""
    if problem := url_problem(url):
        raise RefusedAddressError(problem)
    parts = urlsplit(url)
    connection = _Pinned(parts.hostname or "", checked_address(parts), tls=parts.scheme == "https")
    clock = threading.Timer(_TOTAL_SECONDS, _cut, [connection])
    clock.start()
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, dict(headers))
        return connection.getresponse().status
    finally:
        clock.cancel()
        connection.close()


def _cut(connection: _Pinned) -> None:
    try:
        connection.cut()
    except OSError:
        return  # it has ended by itself


def signature(secret: str, body: bytes, timestamp: int) -> str:
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"
