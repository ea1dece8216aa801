"""A head that was read before means what gunicorn read; an answer goes out in order and at once."""

import socket
import tempfile
import tracemalloc
from contextlib import closing
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import get_parser
from gunicorn.http.errors import InvalidHeader

from bandit_project.server import messages
from bandit_project.server.messages import Heads, Outbox, Received, limit_sending

pytestmark = pytest.mark.database_free

PEER = ("127.0.0.1", 5000)
HEADS = [
    b"GET /allocation?experiment_id=1 HTTP/1.1\r\nHost: a\r\nX-API-Key: k\r\n\r\n",
    b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
]


def _meaning(request: Any) -> tuple[object, ...]:
    return (
        request.method, request.uri, request.path, request.query, request.version, request.headers,
        request.scheme, request.should_close(),
    )  # fmt: skip


@pytest.mark.parametrize("head", HEADS)
def test_head__read_before__means_what_gunicorn_reads(head: bytes) -> None:
    heads, config = Heads(Config()), Config()
    by_gunicorn = _meaning(next(get_parser(config, iter([head]), PEER)))

    found = [heads.request(head, body, ("127.0.0.1", port)) for port, body in ((1, b"{}"), (2, b"[]"))]

    assert [_meaning(request) for request in found] == [by_gunicorn] * 2
    assert [request.body.read() for request in found] == [b"{}", b"[]"]
    assert [request.peer_addr[1] for request in found] == [1, 2]


def test_head__of_a_proxy_that_is_not_trusted__is_not_taken_for_that_of_one_that_is() -> None:
    heads = Heads(Config())
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n"

    schemes = [heads.request(head, b"", (peer, 1)).scheme for peer in ("127.0.0.1", "203.0.113.5") * 2]

    assert schemes == ["https", "http"] * 2


def test_head__refused__is_refused_again() -> None:
    heads = Heads(Config())
    twice = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n"

    for _ in range(2):
        with pytest.raises(InvalidHeader):
            heads.request(twice, b"{}", PEER)


def test_connection__closed_after_one_request__does_not_close_the_next_one_with_its_head() -> None:
    heads = Heads(Config())
    heads.request(HEADS[0], b"", PEER).force_close()

    assert not heads.request(HEADS[0], b"", PEER).should_close()


def test_heads__more_than_are_kept_or_too_long__push_out_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "_MOST_HEADS", 3)
    heads = Heads(Config())

    for number in range(10):
        heads.request(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number, b"", PEER)
    heads.request(b"GET / HTTP/1.1\r\nX: " + b"x" * 3000 + b"\r\n\r\n", b"", PEER)

    assert [head.split()[1] for head, *_of in heads._read] == [b"/7", b"/8", b"/9"]


def test_received__cut_off__gives_what_came_and_ends_the_connection() -> None:
    received = Received(Heads(Config()), PEER)
    received.give(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", b"{}", is_whole=False)

    request = next(received)

    assert (request.body.read(9), received.finish_body()) == (b"{}", False)


def test_received__long_head_of_a_connection_that_idles__is_not_held() -> None:
    connections = [Received(Heads(Config()), PEER) for _ in range(20)]
    tracemalloc.start()
    for received in connections:
        head = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: %s\r\n" % (b"x" * 8000) * 7 + b"\r\n"
        received.give(head, b"", is_whole=True)
        assert next(received).method == "GET"
    held, _most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < 4 * len(head)


_LIVE = b"HTTP/1.1 200 OK\r\nX-Accel-Buffering: no\r\n\r\n"


class _Wire:
    """A socket that remembers what each system call sent."""

    def __init__(self) -> None:
        self.sent = list[bytes]()

    def send(self, data: memoryview) -> int:
        self.sent.append(bytes(data))
        return len(data)


class _Slow:
    """A client that takes so many bytes of each piece, and so many seconds for them: a socket and its clock."""

    def __init__(self, taken: int, seconds: float = 10) -> None:
        self._taken, self._seconds = taken, seconds
        self.now, self.sent = 0.0, 0

    def clock(self) -> float:
        return self.now

    def send(self, data: memoryview) -> int:
        return self._take(len(data))

    def sendfile(self, file: Any, offset: int, count: int) -> int:
        return self._take(count)

    def settimeout(self, seconds: float) -> None: ...

    def setblocking(self, flag: bool) -> None: ...

    def _take(self, size: int) -> int:
        taken = min(size, self._taken)
        self.now += self._seconds
        self.sent += taken
        return taken


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ([b"head", b"body"], [b"headbody"]),
        ([b"head", b"x" * 65_536], [b"head", b"x" * 65_536]),
        ([b"head", *[b"x" * 30_000] * 3, b"end"], [b"head" + b"x" * 90_000, b"end"]),
        ([_LIVE, b"1", b"2", b"end"], [_LIVE, b"1", b"2", b"end"]),
        ([], []),
    ],
    ids=["small", "large body", "many pieces", "pieces that a reader waits for", "nothing"],
)
def test_outbox__of_any_pieces__sends_them_in_order_and_what_is_small_as_one(
    given: list[bytes], sent: list[bytes]
) -> None:
    wire = _Wire()
    outbox = Outbox(wire)  # type: ignore[arg-type]  # the part of a socket that it uses

    for piece in given:
        outbox.sendall(piece)
    outbox.flush()

    assert wire.sent == sent


def test_outbox__steady_reader_slower_than_an_answer_may_be__loses_it() -> None:
    slow = _Slow(taken=10_000)
    outbox = Outbox(slow, slow.clock)  # type: ignore[arg-type]

    with pytest.raises(BrokenPipeError):
        outbox.sendall(b"x" * 10**7)

    # 10 s a piece, where 30 s and one for each 20,000 bytes may be waited: 40 > 30 + 2
    assert (slow.now, slow.sent) == (40, 40_000)


def test_outbox__steady_reader_on_a_slow_line__gets_it_all() -> None:
    slow = _Slow(taken=200_000)
    outbox = Outbox(slow, slow.clock)  # type: ignore[arg-type]

    outbox.sendall(b"x" * 10**7)

    assert (slow.now, slow.sent) == (500, 10**7)


def test_outbox__answer_that_is_long_in_the_making__may_take_its_time() -> None:
    slow = _Slow(taken=10**6)
    outbox = Outbox(slow, slow.clock)  # type: ignore[arg-type]

    for _ in range(3):
        slow.now += 3600
        outbox.sendall(b"x" * 10**6)

    assert slow.sent == 3 * 10**6


def test_outbox__with_a_file_for_a_slow_reader__ends_the_same_way() -> None:
    slow = _Slow(taken=262_144)
    outbox = Outbox(slow, slow.clock)  # type: ignore[arg-type]
    assert outbox.sendfile(None, offset=0, count=600_000) == 600_000

    slow = _Slow(taken=262_144, seconds=60)
    with pytest.raises(BrokenPipeError):
        Outbox(slow, slow.clock).sendfile(None, offset=0, count=600_000)  # type: ignore[arg-type]


def test_outbox__with_a_file__sends_the_head_first() -> None:
    near, far = socket.socketpair()
    with closing(near), closing(far), open(__file__, "rb") as file:
        outbox = Outbox(near)
        outbox.sendall(b"head")
        outbox.sendfile(file, offset=0, count=3)

        assert far.recv(7, socket.MSG_WAITALL) == b'head"""'


def test_outbox__of_a_client_that_takes_nothing__is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "SEND_SECONDS", 1)
    near, far = socket.socketpair()
    with closing(near), closing(far), tempfile.TemporaryFile() as file:
        limit_sending(near)
        file.truncate(10_000_000)
        with pytest.raises(BrokenPipeError):
            Outbox(near).sendall(b"x" * 10_000_000)
        with pytest.raises(BrokenPipeError):
            Outbox(near).sendfile(file)
