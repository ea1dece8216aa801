"""gunicorn's worker of threads, none of which ever waits for a slow client.

gunicorn gives a connection to a thread and lets it read: eight clients that send a byte a second take all eight
threads, and so do eight that send nothing. Here the worker's own loop receives requests, from as many clients as there
are connections, and a thread gets one once it is whole. Nor does the loop wait for a client to close its end.

Much like a proxy that buffers; behind one there is nothing to do here, and a thread per worker is enough. What clients
may take is bounded: headers and body in size, a request in time, and in memory what a worker holds of all of them,
those that wait for a thread included. A thread never reads from a socket. A body in chunks is not received at all:
Django takes it for empty, so such a request is its connection's last and goes to a thread with its head.
"""

import contextlib
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
# Each time so much has come there are as many seconds more: a slow line is no attack.
_PROGRESS_BYTES = 300_000
# For a client to close its end once it is answered. Closing first could take the answer from it.
_FAREWELL_SECONDS = 2

_HEAD_BYTES = 64 * 1024
# Once a worker holds more than this, large bodies are refused: the client is to come again.
_WORKER_BYTES = 128 * 1024 * 1024
_READ_BYTES = 256 * 1024

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)

_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_TOO_MUCH = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class _Source:
    """What gunicorn's parser reads instead of the socket: what was received, and then the end."""

    def __init__(self) -> None:
        self.whole = False
        self._data, self._at = memoryview(b""), 0

    def give(self, data: bytearray, *, whole: bool) -> None:
        self.whole = whole
        self._data, self._at = memoryview(data), 0

    @property
    def is_used_up(self) -> bool:
        return self._at == len(self._data)

    def recv(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size].tobytes()
        self._at += len(piece)
        if self.is_used_up:
            # a connection that is kept alive does not keep its last body
            self.give(bytearray(), whole=self.whole)
        return piece


class _Request:
    """What has come of a request so far."""

    def __init__(self, conn: Any, seconds: float, *, is_farewell: bool = False) -> None:
        self.conn, self.data = conn, bytearray()
        self.is_farewell = is_farewell
        self.deadline = time.monotonic() + seconds
        self._head_end = self._progress = 0
        # of head and body; None while that is not known, and where the body comes in chunks
        self.length: int | None = None
        self.is_chunked = False

    def add(self, data: bytes) -> None:
        searched, is_first = max(0, len(self.data) - 3), not self.data
        self.data += data
        if is_first or len(self.data) >= self._progress + _PROGRESS_BYTES:
            self._progress = len(self.data)
            self.deadline = time.monotonic() + _REQUEST_SECONDS
        if not self._head_end and (found := self.data.find(b"\r\n\r\n", searched, _HEAD_BYTES)) >= 0:
            self._read_head(found + 4)

    def _read_head(self, end: int) -> None:
        self._head_end, head = end, bytes(self.data[:end])
        self.is_chunked = bool(_CHUNKED.search(head))
        if not self.is_chunked:
            found = _LENGTH.search(head)
            self.length = end + (int(found[1]) if found else 0)
        if _EXPECTS.search(head) and not self.is_ready:
            with contextlib.suppress(OSError):
                self.conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    @property
    def is_head_too_long(self) -> bool:
        return not self._head_end and len(self.data) >= _HEAD_BYTES

    @property
    def is_whole(self) -> bool:
        return self.length is not None and len(self.data) >= self.length

    @property
    def is_ready(self) -> bool:
        """Whether nothing more need come: the service refuses a body that is too large by its length."""
        is_too_large = self.length is not None and self.length - self._head_end > settings.MAX_BODY_BYTES
        return self.is_whole or self.is_chunked or is_too_large

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
        # Bytes of all requests, from when they come until they are answered.
        self._held = 0
        super().init_process()

    # What gunicorn calls for a new connection, for one that is readable again, and for one with bytes left over.
    def enqueue_req(self, conn: Any) -> None:
        if self.cfg.is_ssl:
            super().enqueue_req(conn)
            return
        if conn.parser is None:
            conn.parser = get_parser(self.cfg, _Source(), conn.client)
            conn.initialized, conn.held = True, 0
        conn.sock.setblocking(False)
        self._listen(_Request(conn, self.cfg.keepalive), conn.parser.unreader.take_buffered())

    def handle_request(self, req: Any, conn: Any) -> bool:
        """A request that did not come whole is its connection's last: nobody waits for the rest."""
        if not self.cfg.is_ssl:
            req._expected_100_continue = False  # said already, if it had to be
        keep = super().handle_request(req, conn)
        return bool(keep and (self.cfg.is_ssl or conn.parser.unreader.sock.whole))

    def finish_request(self, conn: Any, fs: Any) -> None:
        if self.cfg.is_ssl:
            super().finish_request(conn, fs)
            return
        self._release(conn)
        if fs.cancelled() or fs.exception() or not fs.result() or not conn.parser.unreader.sock.is_used_up:
            self._say_farewell(conn)
        else:
            conn.parser.unreader.unread(conn.surplus)
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        super().murder_pending()
        now = time.monotonic()
        for request in [request for request in self._requests.values() if request.deadline < now]:
            self._give_up(request)

    def _listen(self, request: _Request, data: bytes = b"") -> None:
        conn = request.conn
        self._requests[conn] = request
        if data:
            self._go_on(request, data)
        if self._requests.get(conn) is request:
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
        elif data:
            self._go_on(request, data)
        else:
            self._end(request)

    def _go_on(self, request: _Request, data: bytes) -> None:
        request.add(data)
        request.conn.held += len(data)
        self._held += len(data)
        if request.is_head_too_long:
            self._refuse(request, _TOO_LONG)
        elif self._held > _WORKER_BYTES and len(request.data) > _HEAD_BYTES:
            self._refuse(request, _TOO_MUCH)
        elif request.is_ready:
            self._hand_over(request)

    def _end(self, request: _Request) -> None:
        """The client sends no more. A body that is cut is refused by the service; half a head is nothing."""
        if request.length is None:
            self._drop(request)
        else:
            self._hand_over(request)

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
        self._release(request.conn)
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
            self._listen(_Request(conn, _FAREWELL_SECONDS, is_farewell=True))

    def _drop(self, request: _Request) -> None:
        self._forget(request)
        self._close(request.conn)

    def _forget(self, request: _Request) -> None:
        del self._requests[request.conn]
        with contextlib.suppress(KeyError, ValueError, OSError):
            self.poller.unregister(request.conn.sock)

    def _release(self, conn: Any) -> None:
        self._held -= conn.held
        conn.held = 0

    def _close(self, conn: Any) -> None:
        self._release(conn)
        self.nr_conns -= 1
        conn.close()
