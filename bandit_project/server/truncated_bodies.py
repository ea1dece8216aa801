"""A body that ends before its Content-Length is an error, never a shorter body.

Django reads until the connection ends. When a client dies in the middle of a file, Django would record the rows that
had arrived, and perhaps the first digits of the last number.
"""

from typing import Any, Protocol

from django.core.handlers.wsgi import WSGIHandler

from bandit_project.body_length import body_length


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...

    def readline(self, size: int, /) -> bytes: ...


class _WholeStream:
    """A body's stream that raises OSError where bytes are missing; Django raises UnreadablePostError from it."""

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
    """Wrap a WSGI application so that reading a body that was cut off fails."""

    def serve(environ: dict[str, Any], start_response: Any) -> Any:
        if (length := body_length(environ)) is not None:
            environ["wsgi.input"] = _WholeStream(environ["wsgi.input"], length)
        return application(environ, start_response)

    return serve
