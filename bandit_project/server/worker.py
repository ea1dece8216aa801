"""A gunicorn worker with threads, none of which waits for what a slow client sends.

gunicorn's own threaded worker gives a connection to a thread and lets it read: eight clients that send a byte a second
occupy all eight threads. Here the worker's event loop receives requests, from as many clients as there are connections.

The worker promises:

- A thread gets a request once it has arrived whole. It reads the next one itself where a client sends one right after
  the other, as programs do, as long as no other connection needs the thread (see waiting.py).
- A thread waits for a client that does not take its answer for about half a minute; then the client loses it. So
  does one that takes it more slowly than 20 kB a second for longer than that.
- Connections are spread over the workers (see peers.py).
- The loop never waits: not for a request, and not for a client to close its end.
- What clients can use is bounded: the size of headers and body, the time of a request, and the memory that a worker
  holds for all of them, requests that wait for a thread included. A refusal is 408, 431 or 503.
- A body in chunks is not received, nor one of unclear length. Django takes the first for empty and gunicorn refuses the
  second; such a request is its connection's last and goes to a thread with its head alone.
- A body that is cut off reaches the service as cut off (see truncated_bodies.py), and closes its connection.
- A worker that ends answers all that have connected, and refuses the next connection at once: a proxy that has another
  server goes there. Left open, as gunicorn does until the last answer, the socket would let clients wait and drop them.

The class overrides methods of gunicorn that are not public. It was tested with the version in TESTED_GUNICORN
(tests/resilience/test_receiving.py, test_clients.py), and pyproject.toml pins exactly that one.
"""

import contextlib
import re
import select
import selectors
import socket
import time
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from gunicorn.util import close_graceful
from gunicorn.workers.gthread import ThreadWorker

from bandit_project.server.answering import Answer, environ_of
from bandit_project.server.messages import Heads, Outbox, Received, limit_sending
from bandit_project.server.peers import Peers
from bandit_project.server.refusals import TOO_LATE, TOO_LONG, TOO_MUCH
from bandit_project.server.waiting import Waits

TESTED_GUNICORN = "27.0.1"

# Seconds for a request after its first byte. Until that byte comes, gunicorn's keepalive counts.
_REQUEST_SECONDS = 15
# Each time so many bytes have come, the time starts again: a slow line is not an attack.
_PROGRESS_BYTES = 300_000
# Seconds for a client to close its end after its answer, again after each piece that it still sends, and as long in all
# as for a request. If the worker closed first, the answer could be lost.
_FAREWELL_SECONDS = 2

_HEAD_BYTES = 64 * 1024
# While a worker holds more than this, it refuses large bodies with 503; the client tries again later.
_WORKER_BYTES = 128 * 1024 * 1024
_READ_BYTES = 256 * 1024

# For so long a thread waits for a client's next request, if the one before came as soon: it can be called away.
_SOON_SECONDS = 0.2
# For so long a worker does not look at connections that it leaves to another.
_REST_SECONDS = 0.0005

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*0*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
_SOME_LENGTH = re.compile(rb"\r\ncontent-length", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)


class _Request:
    """The part of a request that has arrived."""

    def __init__(self, conn: Any, seconds: float, *, is_farewell: bool = False) -> None:
        self.conn, self.data = conn, bytearray()
        self.is_farewell, self.is_awaited, self.is_unmeasured = is_farewell, False, False
        now = time.monotonic()
        self.deadline, self._latest = now + seconds, now + _REQUEST_SECONDS
        self.head_end = self._progress = 0
        # Bytes of head and body together. None until the head is read, and for a body in chunks or of unclear length.
        self.length: int | None = None

    def pass_over(self) -> None:
        """Wait on for a client that sends after its answer."""
        self.deadline = min(time.monotonic() + _FAREWELL_SECONDS, self._latest)

    def add(self, data: bytes) -> None:
        searched, is_first = max(0, len(self.data) - 3), not self.data
        self.data += data
        if is_first or len(self.data) >= self._progress + _PROGRESS_BYTES:
            self._progress = len(self.data)
            self.deadline = time.monotonic() + _REQUEST_SECONDS
        if not self.head_end and (found := self.data.find(b"\r\n\r\n", searched, _HEAD_BYTES)) >= 0:
            self._read_head(found + 4)

    def _read_head(self, end: int) -> None:
        self.head_end, head = end, bytes(self.data[:end])
        found = _LENGTH.search(head)
        # A length that we read otherwise than gunicorn would make a body the next request.
        is_unclear = found is None and _SOME_LENGTH.search(head) is not None
        self.is_unmeasured = is_unclear or bool(_CHUNKED.search(head))
        if not self.is_unmeasured:
            self.length = end + (int(found[1]) if found else 0)
        if _EXPECTS.search(head) and not self.is_ready:
            with contextlib.suppress(OSError):
                self.conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    @property
    def is_head_too_long(self) -> bool:
        return not self.head_end and len(self.data) >= _HEAD_BYTES

    @property
    def is_whole(self) -> bool:
        return self.length is not None and len(self.data) >= self.length

    @property
    def is_ready(self) -> bool:
        """True when a thread can take it. A body that is too large is refused by its length, unread."""
        is_too_large = self.length is not None and self.length - self.head_end > settings.MAX_BODY_BYTES
        return self.is_whole or self.is_unmeasured or is_too_large

    def take_surplus(self) -> bytes:
        """Remove and return the beginning of the next request, from a client that does not wait for answers."""
        if self.length is None:
            return b""
        surplus = bytes(self.data[self.length :])
        del self.data[self.length :]
        return surplus


class BufferingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Receives requests in the worker's loop and gives them to threads whole."""

    sockets: list[Any]
    alive: bool

    def __init__(self, age: int, *args: Any, **kwargs: Any) -> None:
        self._peers, self._rests = Peers(age), False
        super().__init__(age, *args, **kwargs)

    @property
    def nr_conns(self) -> int:
        """Connections of this worker, which the others know."""
        return self._nr_conns

    @nr_conns.setter
    def nr_conns(self, number: int) -> None:
        self._nr_conns = number
        self._peers.hold(number)

    def init_process(self) -> None:
        self._requests: dict[Any, _Request] = {}
        # Bytes of all requests, from their arrival until they are answered.
        self._held = 0
        self._is_tls = self.cfg.is_ssl
        self._heads = Heads(self.cfg)
        self._waits = Waits(self.cfg.threads)
        # As soon as logging has a configuration, gunicorn puts together a line of each request that nobody reads.
        self.log._access_log_enabled = bool(self.cfg.accesslog)
        super().init_process()

    def notify(self) -> None:
        super().notify()
        if self.alive:
            self._peers.go_on(time.monotonic())

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            self._peers.end()
            self._close_the_door()

    def accept(self, listener: Any) -> None:
        """Take a connection, or leave it for a moment to a worker that has fewer."""
        if not self.alive or self._peers.should_take(time.monotonic()):
            super().accept(listener)
        else:
            self._rests = True

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Look at new connections, too, but for a moment where they were left to another worker."""
        if not self._rests:
            super().wait_for_and_dispatch_events(timeout)
            return
        self._rests = False
        super().set_accept_enabled(False)
        super().wait_for_and_dispatch_events(_REST_SECONDS)
        super().set_accept_enabled(self.alive)

    def enqueue_req(self, conn: Any) -> None:
        """Start to receive: a new connection, one that is readable again, or one with bytes left over."""
        if self._is_tls:
            super().enqueue_req(conn)
            return
        if conn.parser is None:
            conn.parser = Received(self._heads, conn.client, conn.server)
            limit_sending(conn.sock)
            conn.initialized, conn.held, conn.surplus, conn.begun, conn.answered_at = True, 0, b"", None, 0.0
        conn.is_brisk = time.monotonic() - conn.answered_at < _SOON_SECONDS
        surplus, conn.surplus = conn.surplus, b""
        self._listen(_Request(conn, self.cfg.keepalive), surplus)

    def handle(self, conn: Any) -> Any:
        """Answer, in a thread, and go on while the next request is here as soon as the one before is answered."""
        if self._is_tls:
            return super().handle(conn)
        while super().handle(conn):
            conn.answered_at = time.monotonic()
            if conn.surplus or not self._comes_soon(conn):
                return True
            request = _Request(conn, self.cfg.keepalive)
            with contextlib.suppress(OSError):
                request.add(conn.sock.recv(_HEAD_BYTES, socket.MSG_DONTWAIT))
            if not request.is_whole:
                conn.begun = request
                return True
            self._give(request)
        return False

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Answer, in a thread. A request that did not arrive whole is its connection's last."""
        if self._is_tls:
            return bool(super().handle_request(req, conn))
        req._expected_100_continue = False  # sent while the head was read, where the client asked for it
        outbox = Outbox(conn.sock)
        answer = Answer(req, outbox, self.cfg)
        environ = environ_of(req, answer, conn)
        self._count_request(answer)
        try:
            self._write(req, answer, environ)
        except Exception as error:
            self._fail(error, answer, conn)
        outbox.flush()
        return bool(not answer.should_close() and conn.parser.is_whole)

    def _write(self, req: Any, answer: Answer, environ: dict[str, Any]) -> None:
        """Have the application answer, and log the access where gunicorn is to."""
        begun = datetime.now()  # noqa: DTZ005 (gunicorn wants a difference)
        pieces = self.wsgi(environ, answer.start_response)
        try:
            answer.send(pieces)
        finally:
            self.log.access(answer, req, environ, datetime.now() - begun)  # noqa: DTZ005
            if hasattr(pieces, "close"):
                pieces.close()

    def _count_request(self, answer: Answer) -> None:
        """Count a request; the answer says whether its connection goes on."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        if not (self.alive and self.cfg.keepalive and len(self.keepalived_conns) < self.max_keepalived):
            answer.force_close()

    def _fail(self, error: Exception, answer: Answer, conn: Any) -> None:
        """End the connection of an answer that failed after its beginning was sent; before, gunicorn answers."""
        if isinstance(error, OSError) or not answer.headers_sent:
            raise error
        self.log.exception("Error handling request")
        close_graceful(conn.sock)
        raise StopIteration from error

    def finish_request(self, conn: Any, fs: Any) -> None:
        if self._is_tls:
            super().finish_request(conn, fs)
            return
        self._waits.done()
        self._release(conn)
        begun, conn.begun = conn.begun, None
        if fs.cancelled() or fs.exception() or not fs.result():
            self._say_farewell(conn)
        elif begun is not None:
            self._listen(begun)
        elif conn.surplus:
            self.enqueue_req(conn)
        else:
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        super().murder_pending()
        now = time.monotonic()
        for request in [request for request in self._requests.values() if request.deadline < now]:
            self._give_up(request)

    def _close_the_door(self) -> None:
        """Take the connections that wait already, then listen no more. More than a worker holds cannot wait."""
        for listener in self.sockets:
            for _ in range(self.worker_connections):
                if not select.select([listener], [], [], 0)[0]:
                    break
                self.accept(listener)
            listener.close()
        self.sockets = []

    def _comes_soon(self, conn: Any) -> bool:
        """Wait a moment for the next request of a client that has just sent two."""
        conn.is_brisk = conn.is_brisk and self.alive and self._waits.for_bytes(conn.sock, _SOON_SECONDS)
        return bool(conn.is_brisk)

    def _listen(self, request: _Request, data: bytes = b"") -> None:
        conn = request.conn
        conn.sock.setblocking(False)
        self._requests[conn] = request
        if data or request.data:
            self._go_on(request, data)
        if self._requests.get(conn) is request:
            # Most requests are in the socket's buffer already.
            self._receive(request, conn.sock)
        if self._requests.get(conn) is request:
            request.is_awaited = True
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._receive, request))

    def _receive(self, request: _Request, sock: socket.socket) -> None:
        try:
            data = sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._drop(request)
            return
        if request.is_farewell and data:
            request.pass_over()
        elif request.is_farewell:
            self._drop(request)
        elif data:
            self._go_on(request, data)
        else:
            self._end(request)

    def _go_on(self, request: _Request, data: bytes) -> None:
        request.add(data)
        self._held += len(request.data) - request.conn.held
        request.conn.held = len(request.data)
        if request.is_head_too_long:
            self._refuse(request, TOO_LONG)
        elif self._held > _WORKER_BYTES and len(request.data) > _HEAD_BYTES:
            self._refuse(request, TOO_MUCH)
        elif request.is_ready:
            self._hand_over(request)

    def _end(self, request: _Request) -> None:
        """Handle a client that closed its sending side: the service refuses a body that is cut off."""
        if request.length is None:
            self._drop(request)
        else:
            self._hand_over(request)

    def _hand_over(self, request: _Request) -> None:
        self._stop_receiving(request)
        self._give(request)
        self._waits.want()
        super().enqueue_req(request.conn)

    def _give(self, request: _Request) -> None:
        conn, whole = request.conn, request.is_whole
        conn.surplus = request.take_surplus()
        data = memoryview(request.data)
        conn.parser.give(bytes(data[: request.head_end]), bytes(data[request.head_end :]), is_whole=whole)

    def _give_up(self, request: _Request) -> None:
        if request.data and not request.is_farewell:
            self._refuse(request, TOO_LATE)
        else:
            self._drop(request)

    def _refuse(self, request: _Request, answer: bytes) -> None:
        self._stop_receiving(request)
        self._release(request.conn)
        with contextlib.suppress(OSError):
            request.conn.sock.send(answer)
        self._say_farewell(request.conn)

    def _say_farewell(self, conn: Any) -> None:
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
        else:
            self._listen(_Request(conn, _FAREWELL_SECONDS, is_farewell=True))

    def _drop(self, request: _Request) -> None:
        self._stop_receiving(request)
        self._close(request.conn)

    def _stop_receiving(self, request: _Request) -> None:
        del self._requests[request.conn]
        if request.is_awaited:
            with contextlib.suppress(KeyError, ValueError, OSError):
                self.poller.unregister(request.conn.sock)

    def _release(self, conn: Any) -> None:
        self._held -= conn.held
        conn.held = 0

    def _close(self, conn: Any) -> None:
        self._release(conn)
        self.nr_conns -= 1
        conn.close()
