"""A client that dies in the middle of a body must not have recorded its beginning."""

import io
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.http import UnreadablePostError

from bandit_project.server.truncated_bodies import reject_truncated_bodies

pytestmark = pytest.mark.database_free


def _request(body: bytes, length: int, kind: str = "application/json") -> WSGIRequest:
    """As Django sees it behind the wrapper."""
    seen: dict[str, Any] = {}
    environ = {
        "REQUEST_METHOD": "POST", "CONTENT_TYPE": kind, "CONTENT_LENGTH": str(length), "wsgi.input": io.BytesIO(body),
    }  # fmt: skip
    reject_truncated_bodies(lambda environ, _: seen.update(environ))(environ, None)  # type: ignore[arg-type]  # any WSGI one
    return WSGIRequest(seen)


def test_body__whole__is_read() -> None:
    request = _request(b"one\ntwo", 7)

    assert request.readline() == b"one\n"
    assert request.read(2) == b"tw"
    assert request.read() == b"o"
    assert request.read() == b""


@pytest.mark.parametrize("body", [b"", b"[1, 2]"], ids=["nothing", "whole by chance"])
def test_body__cut__cannot_be_read(body: bytes) -> None:
    with pytest.raises(UnreadablePostError):
        _ = _request(body, 10).body


def test_line__cut__cannot_be_read() -> None:
    request = _request(b"one\ntw", 7)

    assert request.readline() == b"one\n"
    with pytest.raises(UnreadablePostError):
        request.readline()


def test_file__cut_between_two_rows__cannot_be_read() -> None:
    part = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,b\r\n1,2\r\n'

    with pytest.raises(UnreadablePostError):
        _ = _request(part, 1000, "multipart/form-data; boundary=cut").FILES
