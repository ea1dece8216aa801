"""A time limit for a whole exchange over HTTP: several requests, from the first connection to the last byte.

The time limit of a socket counts for each read, so that a server which sends a byte now and then never meets it, and
for each address of a name. Here no address is tried for longer than the exchange lasts. Each connection is noted when
it is made, before TLS begins, and a timer shuts them when the time is over: who reads then finds the end. Looking
up a name is the system's own business, and its time is not cut short.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import allowed_gai_family, create_connection


class Exchange:
    """The connections of an exchange, and the time that it has."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._guard = threading.Lock()
        self._handles: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    @property
    def left(self) -> float:
        """The seconds that are left; none once it is over."""
        return max(self._end - time.monotonic(), 0.0)

    def note(self, connection: socket.socket) -> None:
        """Keep a handle of our own: TLS takes the connection's away, and the connection itself is shut by any."""
        with self._guard:
            self._handles.append(connection.dup())
            if not self.left:
                self._shut()

    def close(self) -> None:
        self._timer.cancel()
        with self._guard:
            for handle in self._handles:
                handle.close()
            self._handles.clear()

    def _cut(self) -> None:
        with self._guard:
            self._shut()

    def _shut(self) -> None:
        for handle in self._handles:
            with suppress(OSError):  # closed at the other end
                handle.shutdown(socket.SHUT_RDWR)


_current = threading.local()


@contextmanager
def exchange(seconds: float) -> Iterator[None]:
    """Limit the time of all that the block asks by ``ask``."""
    _current.exchange = made = Exchange(seconds)
    try:
        yield
    finally:
        _current.exchange = None
        made.close()


def ask(method: str, address: str, **options: Any) -> requests.Response:
    """Send a request as ``requests.request`` does, within the exchange of this thread.

    Raises requests.Timeout, however the request ended, where the time of the exchange is over.
    """
    current = _running()
    try:
        with requests.Session() as session:
            for scheme in ("https://", "http://"):
                session.mount(scheme, _Adapter())
            answer = session.request(method, address, **options)
    except requests.RequestException as error:
        if current.left:
            raise
        raise requests.Timeout("the time of the exchange is over") from error
    if not current.left:  # an answer that does not say how long it is just ends
        raise requests.Timeout("the time of the exchange is over")
    return answer


def _running() -> Exchange:
    current: Exchange | None = getattr(_current, "exchange", None)
    if current is None:
        raise RuntimeError("ask within an exchange")
    return current


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connected(self)


class _SecureConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connected(self)


def _connected(wanted: HTTPConnection) -> socket.socket:
    """Connect to the first address of the name that answers within the time, and note the connection."""
    current, refusal = _running(), OSError("the name has no address")
    name = wanted._dns_host.strip("[]")  # as urllib3: with the dot that ends a full name
    found = socket.getaddrinfo(name, wanted.port, allowed_gai_family(), socket.SOCK_STREAM)
    for *_kind, address in found:
        left = current.left
        if not left:
            raise TimeoutError("the time of the exchange is over")
        seconds = left if wanted.timeout is None else min(wanted.timeout, left)
        try:
            place = str(address[0]), int(address[1])
            made = create_connection(place, seconds, wanted.source_address, wanted.socket_options)
        except OSError as error:
            refusal = error
        else:
            current.note(made)
            return made
    raise refusal


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    """Makes connections that are noted, also those to a proxy of the environment."""

    def init_poolmanager(self, *sizes: Any, **options: Any) -> None:
        super().init_poolmanager(*sizes, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager


_POOLS = {"http": _Pool, "https": _SecurePool}
