"""Counts events: each exposure, click and conversion of a unit once."""

import threading
from pathlib import Path
from typing import Generic, TypeVar

from bandit_client.journal import Journal, line_head
from bandit_client.rows import Exposure, Row, Rows, event_count
from bandit_client.ruleset import Rules

_V = TypeVar("_V")


class Recent(Generic[_V]):
    """Remembers the last ``size`` to twice ``size`` entries that were read or written."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._young: dict[int, _V] = {}
        self._old: dict[int, _V] = {}

    def get(self, key: int) -> _V | None:
        found = self._young.get(key)
        if found is None and (found := self._old.get(key)) is not None:
            self[key] = found
        return found

    def __setitem__(self, key: int, value: _V) -> None:
        if len(self._young) >= self._size:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class Counter:
    """Counts per variant and day. Not locked: its owner holds ``lock`` around every call.

    Units are remembered by the 64-bit hash of experiment and unit, which takes a third of the memory of the texts;
    Python's hash has a secret of each process, so that nobody can choose units that collide.
    """

    def __init__(self, max_units: int) -> None:
        self.lock = threading.Lock()
        self._rows: Rows = {}
        self._exposed: Recent[Exposure] = Recent(max_units)
        self._acted: Recent[bool] = Recent(max_units)
        self._journal: Journal | None = None
        self._heads: dict[tuple[str, Exposure], bytes] = {}
        self._places: dict[tuple[str, str, str], Exposure] = {}

    @property
    def size(self) -> int:
        """The number of events that were not handed over yet."""
        return event_count(self._rows)

    def exposure_of(self, experiment: str, unit: str) -> Exposure | None:
        """The latest exposure of the unit that is remembered."""
        return self._exposed.get(hash((experiment, unit)))

    def expose(self, rules: Rules, unit: str, day: str) -> Exposure:
        """Count that the unit sees its variant, unless it did on that day."""
        key = hash((rules.key, unit))
        seen = self._exposed.get(key)
        if seen is not None and seen.day == day:
            return seen
        exposure = self._shared((rules.key, rules.race.winner(unit), day))
        if rules.counts:
            self._exposed[key] = exposure
            self._row("i", exposure, None).impressions += 1
        return exposure

    def _shared(self, place: tuple[str, str, str]) -> Exposure:
        """One object for all units of a variant and day: they are remembered by the hundred thousand."""
        found = self._places.get(place)
        if found is None:
            found = self._places[place] = Exposure(*place)
        return found

    def click(self, exposure: Exposure, unit: str) -> bool:
        """Count the first click that follows an exposure; False for another one."""
        if first := self._is_first("c", exposure, unit):
            self._row("c", exposure, None).clicks += 1
        return first

    def convert(self, exposure: Exposure, unit: str, value: str | None) -> bool:
        """Count the first conversion that follows an exposure, with its value; False for another one."""
        if first := self._is_first("v", exposure, unit):
            row = self._row("v", exposure, value)
            row.conversions += 1
            if value is not None:
                row.values.append(value)
        return first

    def _is_first(self, kind: str, exposure: Exposure, unit: str) -> bool:
        key = hash((kind, exposure, unit))
        if self._acted.get(key):
            return False
        self._acted[key] = True
        return True

    def _row(self, kind: str, exposure: Exposure, value: str | None) -> Row:
        if self._journal is not None:
            self._write(self._journal, kind, exposure, value)
        row = self._rows.get(exposure)
        if row is None:
            row = self._rows[exposure] = Row()
        return row

    def _write(self, journal: Journal, kind: str, exposure: Exposure, value: str | None) -> None:
        head = self._heads.get((kind, exposure))
        if head is None:
            head = self._heads[kind, exposure] = line_head(kind, exposure)
        journal.write(head + (b', "%b"]\n' % value.encode() if value is not None else b"]\n"))

    def swap(self, next_segment: Path | None) -> tuple[Rows, Path | None]:
        """Hand over the counts so far and the segment that holds them; go on with the next one."""
        rows, self._rows = self._rows, {}
        journal, self._journal = self._journal, Journal(next_segment) if next_segment else None
        self._heads.clear()
        self._places.clear()
        if journal is None:
            return rows, None
        journal.close()
        return rows, journal.path

    def forget_counts(self) -> None:
        """In a child after a fork: the parent sends these."""
        self.lock = threading.Lock()
        self.swap(None)
