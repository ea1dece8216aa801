"""The header: the first line that names the columns which are needed.

A column is found by its own name, by a name that its experiment remembers for it, or by a synonym. Where two synonyms
stand for one column, neither is taken.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.utils.translation import gettext as _

from experiments.exceptions import InvalidError, Issue
from experiments.tables.issues import shown
from experiments.tables.reading.source import Line, Reading, Table
from experiments.tables.reading.synonyms import SYNONYMS, plain

_MOST_NAMED = 10
# Characters of a line that are shown.
_LONGEST = 120


@dataclass(frozen=True)
class Columns:
    """Columns that a file must have, and those that it may have, each with the name by which it is asked for.

    ``synonyms``: the column that a header is, by its plain form.
    """

    needed: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)
    synonyms: Mapping[str, str] = field(default_factory=lambda: SYNONYMS)

    @property
    def names(self) -> dict[str, str]:
        return {**self.needed, **self.optional}

    def without(self, *columns: str) -> "Columns":
        """Let columns be missing."""
        needed = {column: name for column, name in self.needed.items() if column not in columns}
        given = {column: self.needed[column] for column in columns if column in self.needed}
        return Columns(needed, {**given, **self.optional}, self.synonyms)


@dataclass(frozen=True)
class Header:
    """A line read as a header: ``places`` of the columns found, those ``missing``, and those found ``twice``."""

    reading: Reading
    line: int
    cells: tuple[str, ...]
    places: Mapping[str, int]
    missing: tuple[str, ...]
    twice: Mapping[str, tuple[str, ...]]

    @property
    def is_complete(self) -> bool:
        return not self.missing and not self.twice

    @property
    def names(self) -> dict[str, str]:
        """Names of the columns as the file has them; a column that it lacks has its own."""
        return {column: self.cells[place] for column, place in self.places.items()}

    @property
    def ignored(self) -> list[str]:
        """Names of the columns that nobody needs."""
        used = set(self.places.values())
        return [name for place, name in enumerate(self.cells) if name and place not in used]

    @property
    def unnamed(self) -> list[int]:
        return [place for place, name in enumerate(self.cells) if not name]

    def without(self, column: str) -> "Header":
        """Ignore a column."""
        return replace(self, places={name: place for name, place in self.places.items() if name != column})

    def lines(self) -> Iterator[Line]:
        """Yield the lines below."""
        return self.reading.lines_after(self.line)


class HeaderNotFoundError(InvalidError):
    """No line names the columns; ``guess`` is the line that is most like a header."""

    def __init__(self, message: str, guess: Header) -> None:
        super().__init__([Issue("file", "wrong_header", message)])
        self.guess = guess


def find_header(table: Table, columns: Columns, known: Mapping[str, str] | None = None) -> Header:
    """Find the header; ``known`` says what headers mean here, by their plain form, "" for a column not needed.

    Raises HeaderNotFoundError.
    """
    candidates = [
        _read_header(reading, line, cells, columns, known or {})
        for reading in table.readings
        for line, cells in reading.first_lines()
        if any(cell.strip() for cell in cells)
    ]
    if complete := [header for header in candidates if header.is_complete]:
        return min(complete, key=lambda header: header.line)
    if not candidates:
        raise InvalidError([Issue("file", "empty", _("the file is empty"))])
    guess = max(candidates, key=lambda header: _likeness(header, columns))
    raise HeaderNotFoundError(_why_not(guess, columns), guess)


def _likeness(header: Header, columns: Columns) -> tuple[int, int, int]:
    """Rate a line by the columns it names, else by its width, else the first."""
    named = len(header.places) + len(header.twice)
    return named, min(len(header.cells), len(columns.needed)), -header.line


def _read_header(
    reading: Reading, line: int, cells: Sequence[str], columns: Columns, known: Mapping[str, str]
) -> Header:
    names = tuple(" ".join(cell.split()) for cell in cells)
    found: defaultdict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(names):
        if (column := _column_of(name, columns, known)) in columns.names:
            found[column].append(place)
    chosen = {column: _best(column, places, names, columns, known) for column, places in found.items()}
    places = {column: places[0] for column, places in chosen.items() if len(places) == 1}
    twice = {
        column: tuple(names[place] for place in places)
        for column, places in chosen.items()
        if len(places) > 1
    }
    missing = tuple(column for column in columns.needed if column not in places and column not in twice)
    return Header(reading, line, names, places, missing, twice)


def _column_of(name: str, columns: Columns, known: Mapping[str, str]) -> str:
    form = plain(name)
    return known[form] if form in known else columns.synonyms.get(form, "")


def _best(
    column: str, places: list[int], names: Sequence[str], columns: Columns, known: Mapping[str, str]
) -> list[int]:
    """Prefer what the experiment remembers, then a column's own name, over synonyms."""
    own = {plain(column), plain(columns.names[column])}
    for better_names in (known.keys(), own):
        if better := [place for place in places if plain(names[place]) in better_names]:
            return better
    return places


def _why_not(guess: Header, columns: Columns) -> str:
    said = _("no line names all the columns %(names)s; %(likest)s %(why)s")
    names = ", ".join(columns.needed.values())
    likest = _("line %(line)s, %(text)s,") % {
        "line": guess.line,
        "text": shown(", ".join(guess.cells), _LONGEST),
    }
    problems = [*_lacks(guess, columns), *_twice(guess, columns)]
    return said % {"names": names, "likest": likest, "why": _(" and ").join(problems)}


def _lacks(guess: Header, columns: Columns) -> Iterable[str]:
    if guess.missing:
        names = ", ".join(columns.needed[column] for column in guess.missing)
        yield _("lacks: %(names)s") % {"names": names}


def _twice(guess: Header, columns: Columns) -> Iterable[str]:
    for column, names in guess.twice.items():
        message = _(
            "has %(count)s columns that may be %(column)s: %(names)s; give that name to one of them alone"
        )
        named = ", ".join(names[:_MOST_NAMED])
        yield message % {"count": len(names), "column": columns.names[column], "names": named}
