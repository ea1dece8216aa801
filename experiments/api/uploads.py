"""Files in requests."""

import io
from collections.abc import Collection, Iterator
from typing import Any, BinaryIO, cast

from rest_framework.request import Request

from experiments.exceptions import InvalidError, Issue
from experiments.tables.reading.opening import open_table
from experiments.tables.reading.source import Table
from experiments.tables.uploads import upload_bounds
from experiments.tables.ways_in import WayIn

FILE = "file"
_LONGEST = 100


def uploaded_table(request: Request, way_in: WayIn, *, sheet: str = "") -> Table:
    """Open the multipart field "file" as a table; raise InvalidError without one, or for what is no table.

    Reading it raises InvalidError where it has more than a request may bring by this way in.
    """
    file = request.FILES.get(FILE)
    if file is None:
        raise InvalidError([Issue(FILE, "required", "send the file as the multipart field 'file'")])

    return open_table(
        lambda: cast(BinaryIO, io.BufferedReader(_View(file), 1 << 16)),
        sheet=sheet,
        bounds=upload_bounds(way_in),
    )


def form_values(request: Request, known: Collection[str]) -> dict[str, str]:
    """Return the fields of a form beside its file; raise InvalidError for one that is unknown or sent twice."""
    if issues := list(_form_issues(request, known)):
        raise InvalidError(issues)
    return {name: str(request.POST[name]) for name in known if name in request.POST}


def _form_issues(request: Request, known: Collection[str]) -> Iterator[Issue]:
    fields = f"the fields are {', '.join((FILE, *known))}"
    for name in {**request.POST, **request.FILES}:
        times = len(request.POST.getlist(name)) + len(request.FILES.getlist(name))
        if name not in (FILE, *known):
            yield Issue(name[:_LONGEST], "unknown_field", f"Unknown field; {fields}.")
        elif times > 1:
            yield Issue(name, "repeated", f"Sent {times} times; send it once.")


class _View(io.RawIOBase):
    """A view of an upload with a position of its own; several may be read in turn, and closing one leaves the rest."""

    def __init__(self, file: Any) -> None:
        self._file, self._position = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size}[whence]
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._position)
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
