"""Tables before anything is known of them: lines of cells, to be read as often as needed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from experiments.exceptions import InvalidError, Issue
from experiments.tables.reading.bounds import Bounds

# The number of a line in its file, from 1, and its cells.
Line = tuple[int, list[str]]
OpenBytes = Callable[[], BinaryIO]

# A header is looked for on as many lines.
FIRST_LINES = 50


class Reading(Protocol):
    """One way to split a file into cells."""

    def first_lines(self) -> list[Line]:
        """Return the first lines, each split by itself: a title may hold an odd quote."""

    def lines_after(self, line: int) -> Iterator[Line]:
        """Yield the lines below this one."""


@dataclass(frozen=True)
class Table:
    """A file with the ways in which it may be split; its header shows which is right.

    ``encoding`` is named where it had to be guessed, ``sheets`` where it is a workbook's. The rows of one that
    has ``bounds`` fit in memory.
    """

    readings: Sequence[Reading]
    encoding: str = ""
    sheets: tuple[str, ...] = ()
    bounds: Bounds | None = None


def unreadable(code: str, message: str) -> InvalidError:
    """Build the refusal of a whole file."""
    return InvalidError([Issue("file", code, message)])
