"""Between a request and Django: the environ that gunicorn makes of a head, kept with it, and the answer's head.

For an answer of a millisecond gunicorn builds the same environ again and again, looks at each header's name and value
for what must not be in it, and writes the date.
"""

import time
from functools import lru_cache
from typing import Any, ClassVar

from gunicorn import util
from gunicorn.http import wsgi

_LENGTH = "Content-Length"
# Not kept: a thousand bodies would be. Nobody here sends hints, which belong to one answer.
_OF_ONE_REQUEST = ("wsgi.input", "gunicorn.socket", "wsgi.early_hints")


def environ_of(request: Any, answer: "Answer", conn: Any) -> dict[str, Any]:
    """Return the environ of a request, by gunicorn; ``request.template`` keeps all of it that the head decides."""
    template: dict[str, Any] = request.template
    if not template:
        _unused, made = wsgi.create(request, answer.sock, conn.client, conn.server, answer.cfg)
        for name in _OF_ONE_REQUEST:
            del made[name]
        template |= made
    environ = {
        **template, "wsgi.input": request.body, "gunicorn.socket": answer.sock, "wsgi.multithread": True
    }  # fmt: skip
    if isinstance(conn.client, tuple):
        environ["REMOTE_PORT"] = str(conn.client[1])
    environ |= wsgi.proxy_environ(request)
    return environ


class Answer(wsgi.Response):  # type: ignore[misc]  # gunicorn has no types
    """An answer by gunicorn, which checks a header only where it is not that of the answer before."""

    headers: list[tuple[str, str]]
    _checked: ClassVar[dict[str, str]] = {}

    def process_headers(self, headers: list[tuple[str, str]]) -> None:
        for header in headers:
            name, value = header
            if self._checked.get(name) == value:
                self.headers.append(header)
                if name == _LENGTH:
                    self.response_length = int(value)
            else:
                self._check(header)

    def _check(self, header: tuple[str, str]) -> None:
        """Let gunicorn refuse it, or take it; keep one that means nothing to gunicorn, or is the usual length."""
        before = len(self.headers)
        super().process_headers([header])
        if self.headers[before:] == [header] and (header[0] == _LENGTH or not _has_meaning(header[0])):
            self._checked[header[0]] = header[1]

    def default_headers(self) -> list[str]:
        """Write the first lines as gunicorn does, with the date of this second."""
        major, minor = self.req.version
        connection = "upgrade" if self.upgrade else "close" if self.should_close() else "keep-alive"
        lines = [
            f"HTTP/{major}.{minor} {self.status}\r\nServer: {self.version}\r\nDate: {_date(int(time.time()))}\r\n"
            f"Connection: {connection}\r\n"
        ]
        return [*lines, "Transfer-Encoding: chunked\r\n"] if self.chunked else lines

    def send(self, pieces: Any) -> None:
        """Write what the application answers, to its end."""
        if isinstance(pieces, wsgi.FileWrapper):
            self.write_file(pieces)
        else:
            for piece in pieces:
                self.write(piece)
        self.close()


def _has_meaning(name: str) -> bool:
    return name.lower() == _LENGTH.lower() or bool(util.is_hoppish(name))


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return str(util.http_date(second))
