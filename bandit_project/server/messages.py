"""The two ends of a request in a thread: gunicorn's reading of its head, kept, and an answer that is sent at once.

Programs send one head again and again: reading it, with all of gunicorn's rules, takes longer than finding what it
read before. And of two system calls for an answer's head and body, each lets another thread run in between.

A kept head holds its key or cookie, in the memory of the worker alone, until newer ones push it out.
"""

import errno
import socket
import struct
import time
from collections import OrderedDict
from collections.abc import Callable
from io import BytesIO
from typing import Any

from gunicorn.http import get_parser

# Heads that a worker keeps, and how long one may be: a few MB in all.
_MOST_HEADS, _LONGEST_HEAD = 1024, 2048
# An answer that comes in pieces is sent when so much has gathered.
_PIECE_BYTES = 64 * 1024
# So much goes to the system at once: it waits SEND_SECONDS at most before it says how much the client took.
_SENT_AT_ONCE = 256 * 1024
# How an answer asks those on its way, nginx too, to pass on each piece as it comes: a reader waits for it.
_IS_LIVE = b"\r\nX-Accel-Buffering: no\r\n"
# Seconds after which a client that has taken nothing of its answer loses it; the system may try three times.
SEND_SECONDS = 10
# An answer may take so long to send in all: for so many bytes a second more, as a slow line is not an attack. It is the
# pace at which a body must arrive (worker.py).
_ANSWER_SECONDS, _SLOWEST_BYTES = 30.0, 20_000


class Heads:
    """Keeps what gunicorn makes of a head, by its bytes, the peer's address, which decides whom it trusts, and ours."""

    def __init__(self, cfg: Any) -> None:
        self._cfg = cfg
        self._read: OrderedDict[tuple[bytes, Any, Any], Any] = OrderedDict()

    def request(self, head: bytes, body: bytes, client: Any, server: Any = None) -> Any:
        """Return gunicorn's request, with its body; raise as gunicorn does for a head that it refuses."""
        key = head, client[0] if isinstance(client, tuple) else client, server
        known = self._read.get(key)
        if known is None:
            known = self._parsed(head, client)
            if len(head) <= _LONGEST_HEAD:
                self._keep(key, known)
        request = object.__new__(type(known))
        vars(request).update(vars(known))
        request.peer_addr = request.remote_addr = client
        request.body = BytesIO(body)
        return request

    def cut_off(self, data: bytes, client: Any) -> Any:
        """Return the request of a body that ends early or cannot be measured."""
        request = next(get_parser(self._cfg, iter([data]), client))
        request.template = {}
        return request

    def _parsed(self, head: bytes, client: Any) -> Any:
        parser = get_parser(self._cfg, iter([head]), client)
        request = next(parser)
        if parser.unreader.take_buffered():
            request.force_close()  # it ends elsewhere for gunicorn than for us
        request.template = {}  # of its environ, see answering.py
        return request

    def _keep(self, key: tuple[bytes, Any, Any], request: Any) -> None:
        self._read[key] = request
        if len(self._read) > _MOST_HEADS:
            self._read.popitem(last=False)


class _Empty:
    """Shows gunicorn that nothing came behind a request: the worker keeps such bytes itself."""

    buf = BytesIO()


class Received:
    """Stands in for gunicorn's parser of a connection: gives it the request that has been received."""

    unreader = _Empty()

    def __init__(self, heads: Heads, client: Any, server: Any = None) -> None:
        self._heads, self._client, self._server = heads, client, server
        self._head, self._body, self.is_whole = b"", b"", False

    def give(self, head: bytes, body: bytes, *, is_whole: bool) -> None:
        self._head, self._body, self.is_whole = head, body, is_whole

    def __next__(self) -> Any:
        head, body = self._head, self._body
        self._head = self._body = b""  # they are freed with the request
        if not self.is_whole:
            return self._heads.cut_off(head + body, self._client)
        return self._heads.request(head, body, self._client, self._server)

    def finish_body(self, deadline: float | None = None) -> bool:
        """Say that the connection can go on: nothing of the body is on it any more."""
        return self.is_whole


class Outbox:
    """Stands in for the socket that gunicorn writes an answer to: what is small goes out as one.

    The first that it gets is the answer's head.
    """

    def __init__(self, sock: socket.socket, clock: Callable[[], float] = time.monotonic) -> None:
        self._sock, self._gathered, self._size = sock, list[bytes](), 0
        self._is_live: bool | None = None
        # Bytes that the client has taken, and the seconds that a thread waited for it.
        self._clock, self._sent, self._waited = clock, 0, 0.0

    def sendall(self, data: bytes) -> None:
        if self._is_live is None:
            self._is_live = _IS_LIVE in data
        if self._is_live or len(data) >= _PIECE_BYTES:
            self.flush()
            self._send(data)
            return
        self._gathered.append(data)
        self._size += len(data)
        if self._size >= _PIECE_BYTES:
            self.flush()

    def flush(self) -> None:
        gathered, self._gathered, self._size = self._gathered, [], 0
        if gathered:
            self._send(b"".join(gathered))

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        self.flush()
        self._sock.settimeout(SEND_SECONDS)  # it would wait by itself, past the limit of the socket
        sent = 0
        try:
            while wanted := _SENT_AT_ONCE if count is None else min(_SENT_AT_ONCE, count - sent):
                taken = self._timed(self._sock.sendfile, file, offset + sent, wanted)
                sent += taken
                if taken < wanted:
                    break
            return sent
        except TimeoutError as error:
            raise _gone() from error
        finally:
            self._sock.setblocking(True)

    def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._timed(self._sock.send, rest[:_SENT_AT_ONCE]) :]
        except BlockingIOError as error:
            raise _gone() from error

    def _timed(self, send: Callable[..., int], *what: Any) -> int:
        """Send a piece; refuse to wait longer for a client that takes each piece, but as slowly as it can."""
        begun = self._clock()
        taken = send(*what)
        self._waited += self._clock() - begun
        self._sent += taken
        if self._waited > _ANSWER_SECONDS + self._sent / _SLOWEST_BYTES:
            raise _gone()
        return taken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def limit_sending(sock: socket.socket) -> None:
    """Let each attempt to send take so long. The last of some three sends nothing, and is the end of the answer."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_SECONDS, 0))


def _gone() -> OSError:
    """Return the error of a client that went away, for one that takes nothing or too little: it is no fault of ours."""
    return BrokenPipeError(errno.EPIPE, "the client does not take its answer")
