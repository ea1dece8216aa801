"""Progress bars of what is read."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from tqdm import tqdm

from experiments.tables.reading.source import Line, Reading, Table


def read_with_bar(path: Path, screen: TextIO) -> BinaryIO:
    """Open a file; each reading of it shows a bar of its bytes."""
    return cast(BinaryIO, io.BufferedReader(_Counted(path, screen), 1 << 16))


def rows_with_bar(table: Table, screen: TextIO) -> Table:
    """Let each reading of a table show the number of its rows."""
    return replace(table, readings=[_CountedRows(reading, screen) for reading in table.readings])


class _Counted(io.FileIO):
    def __init__(self, path: Path, screen: TextIO) -> None:
        super().__init__(path)
        self._bar: Any = tqdm(
            total=path.stat().st_size, unit="B", unit_scale=True, file=screen, disable=None, leave=False
        )

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        self._bar.update(count)
        return count

    def close(self) -> None:
        if not self.closed:
            self._bar.close()
        super().close()


@dataclass(frozen=True)
class _CountedRows:
    reading: Reading
    screen: TextIO

    def first_lines(self) -> list[Line]:
        return self.reading.first_lines()

    def lines_after(self, line: int) -> Iterator[Line]:
        lines = self.reading.lines_after(line)
        yield from tqdm(lines, unit=" rows", file=self.screen, disable=None, leave=False)
