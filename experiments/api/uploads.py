"""Files in requests."""

import io
from typing import Any, BinaryIO, cast

from rest_framework.request import Request

from experiments.exceptions import InvalidError, Issue
from experiments.tables.reading.opening import open_table
from experiments.tables.reading.source import Table


def uploaded_table(request: Request, *, sheet: str = "") -> Table:
    """Open the multipart field "file" as a table; raise InvalidError without one, or for what is no table."""
    file = request.FILES.get("file")
    if file is None:
        raise InvalidError([Issue("file", "required", "send the file as the multipart field 'file'")])

    return open_table(lambda: cast(BinaryIO, io.BufferedReader(_View(file), 1 << 16)), sheet=sheet)


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
