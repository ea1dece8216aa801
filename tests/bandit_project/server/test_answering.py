"""The kept environ of a head and the kept headers change neither requests nor answers."""

import re
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import get_parser, wsgi
from gunicorn.http.errors import InvalidHeader, InvalidResponseHeader, InvalidResponseHeaderName

from bandit_project.server.answering import Answer, environ_of
from bandit_project.server.messages import Heads, Outbox

pytestmark = pytest.mark.database_free

PEER, HOST = "127.0.0.1", ("127.0.0.1", 8000)
GET = b"GET /a%20b?x=1 HTTP/1.1\r\nHost: a\r\nX-API-Key: k\r\nAccept: b\r\nAccept: c\r\n\r\n"
POST = (
    b"POST /events HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n"
    b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n"
)
_OWN = {"wsgi.input", "wsgi.errors", "wsgi.early_hints", "wsgi.multithread", "gunicorn.socket"}
Headers = list[tuple[str, str]]


def _connection(client: Any, server: Any = HOST) -> Any:
    return SimpleNamespace(client=client, server=server)


def _of_gunicorn(head: bytes, connection: Any) -> dict[str, Any]:
    config = Config()
    request = next(get_parser(config, iter([head]), connection.client))
    return _shared(wsgi.create(request, None, connection.client, connection.server, config)[1])


def _shared(environ: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in environ.items() if name not in _OWN}


@pytest.mark.parametrize("head", [GET, POST])
def test_environ__of_a_head_read_before__is_gunicorns(head: bytes) -> None:
    heads, config, outbox = Heads(Config()), Config(), Outbox(None)  # type: ignore[arg-type]
    connections = [_connection((PEER, port)) for port in (1, 2)]

    found = []
    for connection, body in zip(connections, (b"{}", b"[]"), strict=True):
        request = heads.request(head, body, connection.client, connection.server)
        found.append(environ_of(request, Answer(request, outbox, config), connection))

    assert [_shared(environ) for environ in found] == [_of_gunicorn(head, one) for one in connections]
    assert [environ["wsgi.input"].read() for environ in found] == [b"{}", b"[]"]
    assert all(environ["wsgi.multithread"] and environ["gunicorn.socket"] is outbox for environ in found)


def test_environ__changed_by_a_request__is_not_that_of_the_next() -> None:
    heads, config = Heads(Config()), Config()
    names = []
    for _ in range(3):
        request = heads.request(GET, b"", (PEER, 1), HOST)
        environ = environ_of(request, Answer(request, None, config), _connection((PEER, 1)))
        names.append(environ["PATH_INFO"])
        environ["PATH_INFO"] = "/elsewhere"

    assert names == ["/a b"] * 3


def test_environ__of_a_request_that_is_over__keeps_neither_body_nor_connection() -> None:
    heads, config, outbox = Heads(Config()), Config(), Outbox(None)  # type: ignore[arg-type]
    request = heads.request(POST, b"{}", (PEER, 1), HOST)
    environ_of(request, Answer(request, outbox, config), _connection((PEER, 1)))
    gone = weakref.ref(request.body), weakref.ref(outbox)
    del request, outbox

    assert [kept() for kept in gone] == [None, None]


def test_environ__of_another_listener_or_a_socket_of_unix__names_it() -> None:
    heads, config = Heads(Config()), Config()
    places = []
    for client, server in (((PEER, 1), HOST), ((PEER, 1), ("127.0.0.1", 9000)), ("", "/run/bandit.sock")):
        request = heads.request(GET, b"", client, server)
        environ = environ_of(request, Answer(request, None, config), _connection(client, server))
        places.append((environ["SERVER_PORT"], environ.get("REMOTE_PORT")))

    assert places == [("8000", "1"), ("9000", "1"), ("80", None)]


def _head_of(kind: Any, headers: Headers, *, status: str = "200 OK", request: bytes = GET) -> bytes:
    sent: list[bytes] = []
    answer = kind(
        next(get_parser(Config(), iter([request]), (PEER, 1))), SimpleNamespace(sendall=sent.append), Config()
    )
    answer.start_response(status, headers)
    answer.close()
    return re.sub(rb"Date: .*?\r\n", b"Date: -\r\n", b"".join(sent))


ANSWERS: list[tuple[str, Headers]] = [
    ("200 OK", [("Content-Type", "text/html"), ("Content-Length", "0"), ("X-Request-ID", "1")]),
    ("200 OK", [("Content-Type", "text/html"), ("Content-Length", "0"), ("X-Request-ID", "2")]),
    ("200 OK", [("content-length", "0"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]),
    ("200 OK", [("Content-Type", " application/json\t"), ("Connection", "close"), ("Upgrade", "websocket")]),
    ("101 Switching Protocols", [("Connection", "upgrade"), ("Upgrade", "websocket")]),
    ("204 No Content", [("Content-Length", "0")]),
    ("304 Not Modified", [("ETag", '"1"')]),
]


def test_answer__with_headers_checked_before_or_not__is_gunicorns() -> None:
    for status, headers in ANSWERS * 3:
        for request in (GET, GET.replace(b"1.1", b"1.0"), GET.replace(b"GET", b"HEAD")):
            found = _head_of(Answer, headers, status=status, request=request)

            assert found == _head_of(wsgi.Response, headers, status=status, request=request)


def test_answer__length_known_from_the_one_before__holds_for_its_body() -> None:
    bodies = []
    for body in (b"ab", b"cd", b"e"):
        sent: list[bytes] = []
        answer = Answer(
            next(get_parser(Config(), iter([GET]), (PEER, 1))), SimpleNamespace(sendall=sent.append), Config()
        )
        answer.start_response("200 OK", [("Content-Length", str(len(body)))])
        answer.send([body + b"more than it says"])
        bodies.append(sent[-1])

    assert bodies == [b"ab", b"cd", b"e"]


@pytest.mark.parametrize(
    ("header", "error"),
    [
        (("X-Frame-Options", "DENY\r\nSet-Cookie: a=1"), InvalidResponseHeader),
        (("X-Frame Options", "DENY"), InvalidResponseHeaderName),
        (("X-Frame-Options", b"DENY"), TypeError),
    ],
)
def test_answer__header_that_gunicorn_refuses__is_refused_after_one_that_it_takes(
    header: Any, error: type[Exception]
) -> None:
    for _ in range(2):
        _head_of(Answer, [("X-Frame-Options", "DENY")])
        with pytest.raises(error):
            _head_of(Answer, [header])


def test_head__that_gunicorn_refuses__has_no_environ() -> None:
    with pytest.raises(InvalidHeader):
        Heads(Config()).request(b"GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", b"", (PEER, 1))
