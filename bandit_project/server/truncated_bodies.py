"""A body that ends before its Content-Length does is an error, never a shorter body.

Django takes whatever comes until the connection ends. Of a client that died in the middle of a file this would be some
of its rows; of the last one, perhaps, some of its digits.
"""

from typing import Any, Protocol

from django.core.handlers.wsgi import WSGIHandler


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...

    def readline(self, size: int, /) -> bytes: ...


class _WholeStream:
    """OSError where bytes are missing; Django makes it the UnreadablePostError that errors.py answers."""

    def __init__(self, stream: _Stream, length: int) -> None:
        self._stream, self._missing = stream, length

    def read(self, size: int, /) -> bytes:
        return self._checked(data := self._stream.read(size), is_short=len(data) < size)

    def readline(self, size: int, /) -> bytes:
        line = self._stream.readline(size)
        return self._checked(line, is_short=len(line) < size and not line.endswith(b"\n"))

    def _checked(self, data: bytes, *, is_short: bool) -> bytes:
        self._missing -= len(data)
        if is_short and self._missing > 0:
            raise OSError(f"{self._missing} bytes of the body are missing")
        return data


def reject_truncated_bodies(application: WSGIHandler) -> Any:
    def serve(environ: dict[str, Any], start_response: Any) -> Any:
        length = environ.get("CONTENT_LENGTH") or "0"
        if length.isascii() and length.isdigit():
            environ["wsgi.input"] = _WholeStream(environ["wsgi.input"], int(length))
        return application(environ, start_response)

    return serve
