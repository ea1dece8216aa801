"""Counts of one variant on one day, and how they travel."""

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

MAX_ROWS = 1000  # in one request, as the service takes them
MAX_VALUES = 10_000
_KINDS = ("impressions", "clicks", "conversions")
_VALUE_STEP = Decimal("0.0001")
_VALUE_LIMIT = Decimal(10) ** 12


class Exposure(NamedTuple):
    """That a unit saw a variant, and the day on which this counts. Its clicks and conversions count on it too."""

    experiment: str
    variant: str
    day: str


@dataclass(slots=True)
class Row:
    """Increments of one variant on one day."""

    impressions: int = 0
    clicks: int = 0
    conversions: int = 0
    values: list[str] = field(default_factory=list)

    def add(self, other: "Row") -> None:
        self.impressions += other.impressions
        self.clicks += other.clicks
        self.conversions += other.conversions
        self.values += other.values

    def __bool__(self) -> bool:
        return bool(self.impressions or self.clicks or self.conversions)


Rows = dict[Exposure, Row]


def add_rows(into: Rows, rows: Mapping[Exposure, Row]) -> None:
    """Merge rows into others, which then own them."""
    for exposure, row in rows.items():
        if exposure in into:
            into[exposure].add(row)
        else:
            into[exposure] = row


def event_count(rows: Mapping[Exposure, Row]) -> int:
    return sum(row.impressions + row.clicks + row.conversions for row in rows.values())


def peel(row: Row) -> tuple[Row, Row]:
    """Split a row whose order was refused: what can go first, and what waits for it. A single kind waits."""
    if row.impressions and (row.clicks or row.conversions):
        return Row(impressions=row.impressions), Row(0, row.clicks, row.conversions, row.values)
    if row.clicks and row.conversions:
        return Row(clicks=row.clicks), Row(conversions=row.conversions, values=row.values)
    return Row(), row


def take(rows: Rows, limit: int) -> Rows:
    """Move what fits into one request out of ``rows``; a row of too many values is cut."""
    taken: Rows = {}
    room = MAX_VALUES
    for exposure in list(rows)[:limit]:
        row = rows[exposure]
        if len(row.values) > room:
            if taken:
                break
            rows[exposure], row = _without_first_values(row, room), _with_first_values(row, room)
        else:
            del rows[exposure]
        taken[exposure] = row
        room -= len(row.values)
    return taken


def _with_first_values(row: Row, room: int) -> Row:
    rest = len(row.values) - room
    return Row(row.impressions, row.clicks, row.conversions - rest, row.values[:room])


def _without_first_values(row: Row, room: int) -> Row:
    return Row(conversions=len(row.values) - room, values=row.values[room:])


def to_increments(rows: Mapping[Exposure, Row]) -> list[dict[str, Any]]:
    return [_increment(exposure, row) for exposure, row in rows.items() if row]


def _increment(exposure: Exposure, row: Row) -> dict[str, Any]:
    counts = {"impressions": row.impressions, "clicks": row.clicks, "conversions": row.conversions}
    found: dict[str, Any] = {
        **exposure._asdict(),
        **{name: number for name, number in counts.items() if number},
    }
    if row.values:
        found["values"] = row.values
    return found


def from_increments(increments: Iterable[Mapping[str, Any]]) -> Rows:
    rows: Rows = {}
    for entry in increments:
        impressions, clicks, conversions = (entry.get(name, 0) for name in _KINDS)
        exposure = Exposure(entry["experiment"], entry["variant"], entry["day"])
        row = Row(impressions, clicks, conversions, list(entry.get("values", ())))
        add_rows(rows, {exposure: row})
    return rows


def body_of(rows: Mapping[Exposure, Row]) -> str:
    return json.dumps({"increments": to_increments(rows)}, separators=(",", ":"), ensure_ascii=False)


def rows_of(body: str) -> Rows:
    return from_increments(json.loads(body)["increments"])


def amount(value: int | float | str | Decimal) -> str:
    """Write a value with four places, as the service stores it. Raises ValueError for what it would refuse."""
    try:
        number = Decimal(str(value))
        if not 0 <= number < _VALUE_LIMIT:
            raise ValueError(f"value {value!r} is not between 0 and 10^12")
        return str(number.quantize(_VALUE_STEP))
    except InvalidOperation as error:
        raise ValueError(f"value {value!r} is not a number") from error


def day_before(days: int, today: dt.date) -> str:
    return (today - dt.timedelta(days=days)).isoformat()
