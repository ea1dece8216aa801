"""Problems of a file, each at its line and column, in words that show the cell as it looks on the page."""

import re
from typing import NamedTuple

_LONGEST = 40
_SPACES = re.compile(r"\s+")
_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


class RowIssue(NamedTuple):
    """A problem of one line of the file, counted from 1; ``column`` is its header as the file has it."""

    line: int
    column: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.column}: {self.message}"


def shown(cell: str, longest: int = _LONGEST) -> str:
    """Quote a cell as it looks on the page: every kind of space is a space, and what is invisible is left out."""
    text = _HIDDEN.sub("", _SPACES.sub(" ", cell)).strip()
    return f"'{text[:longest]}…'" if len(text) > longest else f"'{text}'"
