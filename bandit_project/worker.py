"""gunicorn's worker of threads, none of which ever waits for a slow client.

gunicorn gives a connection to a thread and lets it read: eight clients that send a byte a second take all eight
threads, and so do eight that send nothing. Here the worker's own loop receives requests, from as many clients as there
are connections, and a thread gets one once it is whole. Nor does the loop wait for a client to close its end.

Much like a proxy that buffers; behind one there is nothing to do here, and a thread per worker is enough. What a client
may take is bounded: its headers and its body in size, a request in time, and what a worker holds of them in memory.
"""

import contextlib
import errno
import re
import selectors
import socket
import time
from functools import partial
from typing import Any

from django.conf import settings
from gunicorn.http import get_parser
from gunicorn.workers.gthread import ThreadWorker

# Seconds for a request, once its first byte is here; that one has gunicorn's keepalive to come.
_REQUEST_SECONDS = 15
# Whatever comes after may take a second more for so many bytes: a slow line is no attack.
_BYTES_A_SECOND = 20_000
# For a client to close its end once it is answered. Closing first could take the answer from it.
_FAREWELL_SECONDS = 2
# For the rest of a request that came to its thread in part; see _WORKER_BYTES.
_THREAD_SECONDS = 10

_HEAD_BYTES = 64 * 1024
# Once a worker holds more than this, threads read the rest of large bodies, and clients wait for a thread.
_WORKER_BYTES = 64 * 1024 * 1024
_READ_BYTES = 256 * 1024

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)

_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class _Source:
    """What gunicorn's parser reads instead of the socket: what was received; then the socket, for a while."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.whole = False
        self._data, self._at, self._deadline = memoryview(b""), 0, 0.0

    def give(self, data: bytearray, *, whole: bool) -> None:
        self.whole = whole
        self._data, self._at = memoryview(data), 0
        self._deadline = time.monotonic() + _THREAD_SECONDS

    def recv(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size].tobytes()
        self._at += len(piece)
        return piece or self._recv_rest(size)

    def _recv_rest(self, size: int) -> bytes:
        self._data = memoryview(b"")
        left = self._deadline - time.monotonic()
        if self.whole or left <= 0:
            raise ConnectionResetError(errno.ECONNRESET, "the request has no more, or not in time")
        self._sock.settimeout(left)
        try:
            return self._sock.recv(size)
        finally:
            self._sock.settimeout(None)


class _Request:
    """What has come of a request so far."""

    def __init__(self, conn: Any, data: bytes, seconds: float, *, is_farewell: bool = False) -> None:
        self.conn, self.data = conn, bytearray()
        self.is_farewell = is_farewell
        self._until = time.monotonic() + seconds
        self._head_end = 0
        # of head and body; None while that is not known
        self.length: int | None = None
        self._is_chunked = False
        if data:
            self.add(data)

    @property
    def deadline(self) -> float:
        return self._until + len(self.data) / _BYTES_A_SECOND

    def add(self, data: bytes) -> None:
        if not self.data:
            self._until = time.monotonic() + _REQUEST_SECONDS
        searched = max(0, len(self.data) - 3)
        self.data += data
        if not self._head_end and (found := self.data.find(b"\r\n\r\n", searched, _HEAD_BYTES)) >= 0:
            self._read_head(found + 4)

    def _read_head(self, end: int) -> None:
        self._head_end, head = end, bytes(self.data[:end])
        self._is_chunked = bool(_CHUNKED.search(head))
        if not self._is_chunked:
            found = _LENGTH.search(head)
            self.length = end + (int(found[1]) if found else 0)
        if _EXPECTS.search(head) and not self.is_whole and not self.is_too_large:
            with contextlib.suppress(OSError):
                self.conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    @property
    def is_head_too_long(self) -> bool:
        return not self._head_end and len(self.data) >= _HEAD_BYTES

    @property
    def is_too_large(self) -> bool:
        """The service refuses it by its length, so that nothing more need come."""
        size = len(self.data) if self.length is None else self.length
        return bool(self._head_end) and size - self._head_end > settings.MAX_BODY_BYTES

    @property
    def is_whole(self) -> bool:
        if self._is_chunked:
            return self.data.endswith(b"\r\n\r\n") and b"\r\n0\r\n" in self.data[self._head_end - 2 :]
        return self.length is not None and len(self.data) >= self.length

    def take_surplus(self) -> bytes:
        """The beginning of the next request, where a client does not wait for answers."""
        if self.length is None:
            return b""
        surplus = bytes(self.data[self.length :])
        del self.data[self.length :]
        return surplus


class BufferingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    def init_process(self) -> None:
        self._requests: dict[Any, _Request] = {}
        super().init_process()

    # What gunicorn calls for a new connection, for one that is readable again, and for one with bytes left over.
    def enqueue_req(self, conn: Any) -> None:
        if self.cfg.is_ssl:
            super().enqueue_req(conn)
            return
        if conn.parser is None:
            conn.parser = get_parser(self.cfg, _Source(conn.sock), conn.client)
            conn.initialized = True
        conn.sock.setblocking(False)
        self._listen(_Request(conn, conn.parser.unreader.take_buffered(), self.cfg.keepalive))

    def handle_request(self, req: Any, conn: Any) -> bool:
        """A request that did not come whole is its connection's last: nobody waits for the rest."""
        keep = super().handle_request(req, conn)
        return bool(keep and (self.cfg.is_ssl or conn.parser.unreader.sock.whole))

    def finish_request(self, conn: Any, fs: Any) -> None:
        if self.cfg.is_ssl:
            super().finish_request(conn, fs)
        elif fs.cancelled() or fs.exception() or not fs.result():
            self._say_farewell(conn)
        else:
            conn.parser.unreader.unread(conn.surplus)
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        super().murder_pending()
        now = time.monotonic()
        for request in [request for request in self._requests.values() if request.deadline < now]:
            self._give_up(request)

    def _listen(self, request: _Request) -> None:
        conn = request.conn
        self._requests[conn] = request
        if request.is_whole:
            self._hand_over(request)
            return
        # mostly all of it is there already
        self._receive(request, conn.sock)
        if self._requests.get(conn) is request:
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._receive, request))

    def _receive(self, request: _Request, sock: socket.socket) -> None:
        try:
            data = sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._drop(request)
            return
        if request.is_farewell:
            if not data:
                self._drop(request)
            return
        self._go_on(request, data)

    def _go_on(self, request: _Request, data: bytes) -> None:
        request.add(data)
        if request.is_head_too_long:
            self._refuse(request, _TOO_LONG)
        elif not data and request.length is None:
            self._drop(request)
        elif not data or request.is_whole or request.is_too_large or self._holds_much(request):
            self._hand_over(request)

    def _holds_much(self, request: _Request) -> bool:
        """Summed up only for a request that is itself large."""
        if len(request.data) <= _HEAD_BYTES:
            return False
        return sum(len(other.data) for other in self._requests.values()) > _WORKER_BYTES

    def _hand_over(self, request: _Request) -> None:
        self._forget(request)
        conn, whole = request.conn, request.is_whole
        conn.surplus = request.take_surplus()
        conn.parser.unreader.sock.give(request.data, whole=whole)
        super().enqueue_req(conn)

    def _give_up(self, request: _Request) -> None:
        if request.data and not request.is_farewell:
            self._refuse(request, _TOO_LATE)
        else:
            self._drop(request)

    def _refuse(self, request: _Request, answer: bytes) -> None:
        self._forget(request)
        with contextlib.suppress(OSError):
            request.conn.sock.send(answer)
        self._say_farewell(request.conn)

    def _say_farewell(self, conn: Any) -> None:
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
        else:
            self._listen(_Request(conn, b"", _FAREWELL_SECONDS, is_farewell=True))

    def _drop(self, request: _Request) -> None:
        self._forget(request)
        self._close(request.conn)

    def _forget(self, request: _Request) -> None:
        del self._requests[request.conn]
        with contextlib.suppress(KeyError, ValueError, OSError):
            self.poller.unregister(request.conn.sock)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()
