"""Files as requests carry them."""

import io
from collections.abc import Callable

from rest_framework.request import Request

from experiments.exceptions import InvalidError, Issue


def uploaded_lines(request: Request) -> Callable[[], io.TextIOWrapper]:
    """Opens the multipart field "file" as text, from its beginning each time; InvalidError where it is missing."""
    file = request.FILES.get("file")
    if file is None:
        raise InvalidError([Issue("file", "required", "send the CSV as the multipart field 'file'")])

    def open_again() -> io.TextIOWrapper:
        file.seek(0)
        return _Unclosed(file, encoding="utf-8-sig", newline="")

    return open_again


class _Unclosed(io.TextIOWrapper):
    """Leaves the upload open when it is dropped, so that it can be read once more."""

    def __del__(self) -> None:
        self.detach()
