"""Files in requests."""

import io
from collections.abc import Callable

from rest_framework.request import Request

from experiments.exceptions import InvalidError, Issue


def uploaded_lines(request: Request) -> Callable[[], io.TextIOWrapper]:
    """Return a function that opens the multipart field "file" as text, each time from its beginning; raise
    InvalidError without one.
    """
    file = request.FILES.get("file")
    if file is None:
        raise InvalidError([Issue("file", "required", "send the CSV as the multipart field 'file'")])

    def open_again() -> io.TextIOWrapper:
        file.seek(0)
        return _Unclosed(file, encoding="utf-8-sig", newline="")

    return open_again


class _Unclosed(io.TextIOWrapper):
    """A text wrapper that leaves the upload open when it is collected, so that it can be read again."""

    def __del__(self) -> None:
        self.detach()
