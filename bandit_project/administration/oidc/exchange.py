"""A time limit for a whole exchange over HTTP: several requests, from the first connection to the last byte.

The time limit of a socket counts for each read, so that a server which sends a byte now and then never meets it. Here
every connection is noted when it is made, before TLS begins, and a timer shuts them when the time of the exchange is
over: whoever reads then finds the end. Looking up a name is the system's own business, and its time is not cut short.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class Exchange:
    """The connections of an exchange. ``is_over``: its time is, and they are shut."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._guard = threading.Lock()
        self._handles: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def note(self, connection: socket.socket) -> None:
        """Keep a handle of our own: TLS takes the connection's away, and the connection itself is shut by any."""
        with self._guard:
            self._handles.append(connection.dup())
            if self.is_over:
                self._shut()

    def close(self) -> None:
        self._timer.cancel()
        with self._guard:
            for handle in self._handles:
                handle.close()
            self._handles.clear()

    def _end(self) -> None:
        with self._guard:
            self.is_over = True
            self._shut()

    def _shut(self) -> None:
        for handle in self._handles:
            with suppress(OSError):  # closed at the other end
                handle.shutdown(socket.SHUT_RDWR)


_current = threading.local()


@contextmanager
def exchange(seconds: float) -> Iterator[Exchange]:
    """Limit the requests that the block makes by ``ask``; a block within one is part of that one."""
    outer: Exchange | None = getattr(_current, "exchange", None)
    if outer is not None:
        yield outer
        return
    _current.exchange = made = Exchange(seconds)
    try:
        yield made
    finally:
        _current.exchange = None
        made.close()


def ask(method: str, address: str, **options: Any) -> requests.Response:
    """Send a request as ``requests.request`` does, within the exchange of this thread."""
    with requests.Session() as session:
        for scheme in ("https://", "http://"):
            session.mount(scheme, _Adapter())
        answer = session.request(method, address, **options)
    if _current.exchange.is_over:  # an answer that does not say how long it is just ends
        raise requests.Timeout
    return answer


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _noted(super()._new_conn())


class _SecureConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _noted(super()._new_conn())


def _noted(connection: socket.socket) -> socket.socket:
    _current.exchange.note(connection)
    return connection


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
