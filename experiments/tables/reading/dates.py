"""Dates as people and programs write them: 2025-08-14, 20250814, 2025/08/14, 14 Aug 2025, Aug 14, 2025, 14/08/2025.

Whether 01/11/2025 is in January or in November is decided for a file as a whole. An order of day and month is a
hypothesis; those under which every date of the file can be read survive. A date is read where all of them give one
day, else it is refused with its readings named.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

from django.utils import timezone
from django.utils.translation import gettext as _

from experiments.tables.issues import shown
from experiments.tables.reading.source import Line
from experiments.text import Text, parse_date

Order = Literal["day_first", "month_first"]
# detect: as the file's other dates show it.
DateOrder = Literal["detect", "day_first", "month_first"]
ORDERS: tuple[Order, Order] = ("day_first", "month_first")

_LONGEST = 64
# More texts of a file are looked at each time that they come.
_MOST_REMEMBERED = 50_000
_TIME = re.compile(
    r"(.*[^\s,])(?:[T ]|, )((?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?)"
    r" ?(Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_YEAR_FIRST = re.compile(
    r"([0-9]{4})([-/.]?)([0-9]{2})\2([0-9]{2})|([0-9]{4})([-/.])([0-9]{1,2})\6([0-9]{1,2})"
)
_YEAR_LAST = re.compile(r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})")
_DAY_MONTH = re.compile(r"([0-9]{1,2})(?: de |\.? |-)([^\W\d_]{3,10})\.?(?: de |,? |-)([0-9]{4})")
_MONTH_DAY = re.compile(r"([^\W\d_]{3,10})\.? ([0-9]{1,2}),? ([0-9]{4})")
# In English, Portuguese, Spanish and German, as the names of columns; no name is that of another month elsewhere.
_NAMES = """
    jan january janeiro ene enero januar jän jänner
    feb february fev fevereiro febrero februar
    mar march março marco marzo mär märz mrz
    apr april abr abril
    may mai maio mayo
    jun june junho junio juni
    jul july julho julio juli
    aug august ago agosto
    sep sept september set setembro septiembre setiembre
    oct october out outubro octubre okt oktober
    nov november novembro noviembre
    dec december dez dezembro dic diciembre dezember
"""
_MONTHS: Mapping[str, int] = {
    name: month for month, names in enumerate(_NAMES.strip().splitlines(), 1) for name in names.split()
}
_OTHER = "other"


class Written(NamedTuple):
    """A day with the order of its day and month; both orders give one where its form says which it is.

    ``separator``: the sign between its numbers, where their order has to be known.
    """

    day_first: dt.date | None
    month_first: dt.date | None
    separator: str = ""

    @property
    def orders(self) -> tuple[Order, ...]:
        return tuple(order for order in ORDERS if getattr(self, order))

    @property
    def year(self) -> int:
        """Return the year, which both orders give."""
        day = self.day_first or self.month_first
        return day.year if day else 0


class DateCell(NamedTuple):
    line: int
    text: str


class Parts(NamedTuple):
    """The parts of a moment; ``time`` and ``zone`` may be empty."""

    date: str
    time: str
    zone: str


@dataclass
class FoundDates:
    """The first date of each kind in a file: those that one order alone reads, those of each separator, the others."""

    first: dict[str, DateCell] = field(default_factory=dict)

    @property
    def is_mixed(self) -> bool:
        """True where dates whose order has to be known are beside dates of other forms; no later date changes that.

        A spreadsheet may have swapped the day and the month of those that it could read, and left the rest as text.
        """
        return _OTHER in self.first and len(self.first) > 1

    @property
    def has_choice(self) -> bool:
        """True where one order may hold for all dates of the file, so that a person can say which."""
        return not (self.is_mixed or len(self._of_one_order) > 1)

    @property
    def clash(self) -> tuple[DateCell, DateCell] | None:
        """Two dates that are not written alike, in the order of the file: of two forms in a file that is mixed, else
        of two orders, else with two separators.
        """
        unlike = [cell for mark, cell in self.first.items() if mark not in (*ORDERS, _OTHER)]
        if self.is_mixed:
            unlike = [min(unlike), self.first[_OTHER]]
        elif not self.has_choice:
            unlike = self._of_one_order
        return (min(unlike), max(unlike)) if len(unlike) > 1 else None

    @property
    def witness(self) -> DateCell | None:
        """The date that shows the order of the file: one that only this order reads, where none contradicts it."""
        return None if self.clash or not self._of_one_order else self._of_one_order[0]

    @property
    def _of_one_order(self) -> list[DateCell]:
        """The first date that only the one order reads, and the first that only the other does."""
        return [self.first[order] for order in ORDERS if order in self.first]

    def orders(self, chosen: DateOrder) -> tuple[Order, ...]:
        """Return the orders under which the file may be read."""
        if not self.has_choice:
            return ()
        if chosen != "detect":
            return (chosen,)
        if self.clash:
            return ()
        return tuple(order for order in ORDERS if order in self.first) or ORDERS


class DateLearner:
    """Looks at all dates of a file, for the order of day and month; those of other ``years`` tell nothing."""

    def __init__(self, years: range = range(dt.MINYEAR, dt.MAXYEAR + 1)) -> None:
        self.found, self._years = FoundDates(), years
        self._seen = set[str]()

    def look_at_lines(self, lines: Sequence[Line], place: int) -> None:
        for line, cells in lines:
            if place < len(cells) and (date := parts_of(cells[place]).date) not in self._seen:
                self._look_at(line, date)

    def _look_at(self, line: int, date: str) -> None:
        if len(self._seen) < _MOST_REMEMBERED and len(date) <= _LONGEST:
            self._seen.add(date)
        if (written := read_day(date)) is None or written.year not in self._years:
            return
        marks: list[str] = [written.separator or _OTHER]
        if len(written.orders) == 1:
            marks += written.orders
        for mark in marks:
            self.found.first.setdefault(mark, DateCell(line, date))


class DatesRead(NamedTuple):
    """How the dates of a file were read: in which ``order``, if one had to be known, and ``witness``, the date that
    shows it. ``has_choice``: an order had to be known, and a person may say which is meant.
    """

    order: Order | Literal[""] = ""
    witness: str = ""
    has_choice: bool = False


class Dates:
    """Reads the dates of a file; ``learn`` looks at all of them, once the order of day and month has to be known.

    ``has_times``: a date may be a moment, which belongs to the day that it was in TIME_ZONE; without a distance from
    UTC it was written there. Where it has none, midnight stands for the day that it begins. ``advice``: how to say
    which order is meant.
    """

    def __init__(
        self, learn: Callable[[], FoundDates], order: DateOrder, advice: Text, *, has_times: bool
    ) -> None:
        self._learn, self._order, self._advice, self._has_times = learn, order, advice, has_times

    @cached_property
    def _found(self) -> FoundDates:
        return self._learn()

    @cached_property
    def _orders(self) -> tuple[Order, ...]:
        return self._found.orders(self._order)

    def read(self) -> DatesRead:
        """Say how the dates of a file were read, once all are."""
        if "_found" not in self.__dict__:
            return DatesRead()
        orders, witness = self._orders, self._found.witness
        is_shown = self._order == "detect" and witness is not None
        return DatesRead(
            orders[0] if len(orders) == 1 else "",
            witness.text if is_shown and witness else "",
            has_choice=self._found.has_choice,
        )

    def day(self, text: str) -> dt.date | None:
        """Read a day; None for what is none, or not one alone."""
        if (day := parse_date(text)) is not None:
            return day
        parts = parts_of(text)
        if (written := read_day(parts.date)) is None:
            return None
        days = self._readings(written)
        return self._on_day(days[0], parts) if len(days) == 1 else None

    def problem(self, text: str) -> str:
        """Say why a text is no day."""
        if not text:
            return _("is empty; write the day as 2025-08-14")
        parts = parts_of(text)
        written = read_day(parts.date)
        message = _(
            "%(value)s is not a date such as 2025-08-14; write it so, in a spreadsheet with the date format yyyy-mm-dd"
        )
        if written and written.separator and len(days := self._readings(written)) != 1:
            return self._order_problem(text, days)
        if written and not self._has_times and _moment(dt.date.min, parts):
            message = _("%(value)s has a time, but the row is the total of a day; write the day alone")
        return message % {"value": shown(text)}

    def _readings(self, written: Written) -> list[dt.date]:
        if not written.separator:
            return [written.day_first] if written.day_first else []
        return sorted({day for order in self._orders if (day := getattr(written, order))})

    def _on_day(self, day: dt.date, parts: Parts) -> dt.date | None:
        """Return the day that a moment belongs to."""
        if not parts.time or (self._has_times and not parts.zone):
            return day
        if self._has_times:
            local = local_moment(day, parts)
            return local.date() if local else None
        moment = _moment(day, parts)
        return day if moment and moment.time() == dt.time() else None

    def _order_problem(self, text: str, days: Sequence[dt.date]) -> str:
        if days:
            message = _(
                "%(value)s can be read as %(one)s or as %(other)s; write it so, in a spreadsheet with the date format "
                "yyyy-mm-dd"
            )
            said = message % {"value": shown(text), "one": days[0], "other": days[1]}
        elif found := self._orders:
            asked = {
                "day_first": _("%(value)s is not a date with the day first; write it as 2025-08-14"),
                "month_first": _("%(value)s is not a date with the month first; write it as 2025-08-14"),
            }
            return asked[found[0]] % {"value": shown(text)}
        else:
            said = self._clash_text(text)
        return f"{said}, {self._advice}" if self._advice and self._found.has_choice else said

    def _clash_text(self, text: str) -> str:
        message = _(
            "%(value)s: the file writes dates in two ways, %(one)s on line %(line)s and %(other)s on line %(later)s; "
            "write all of them as 2025-08-14"
        )
        one, other = self._found.clash or (DateCell(0, ""),) * 2
        names = {"one": shown(one.text), "line": one.line, "other": shown(other.text), "later": other.line}
        return message % {"value": shown(text), **names}


def parts_of(text: str) -> Parts:
    """Split a moment into its date and its time."""
    text = text.strip()
    if ":" in text and len(text) <= _LONGEST and (found := _TIME.fullmatch(text)):
        return Parts(*found.groups(""))
    return Parts(text, "", "")


def read_day(text: str) -> Written | None:
    """Read a day in each order; None for what is no day in any. Only what is as short as a day is remembered."""
    return _read_short(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=2**14)
def _read_short(text: str) -> Written | None:
    if found := _YEAR_LAST.fullmatch(text):
        first, separator, second, year = found.groups()
        days = _date(year, second, first), _date(year, first, second)
        return Written(*days, separator) if any(days) else None
    day = _plain_day(text)
    return Written(day, day) if day else None


def _plain_day(text: str) -> dt.date | None:
    """Read a day whose form says which number is the month."""
    if found := _YEAR_FIRST.fullmatch(text):
        year, _sign, month, day = (part for part in found.groups() if part is not None)
        return _date(year, month, day)
    words = " ".join(text.split())
    if found := _DAY_MONTH.fullmatch(words):
        return _named(*found.group(3, 2, 1))
    if found := _MONTH_DAY.fullmatch(words):
        return _named(*found.group(3, 1, 2))
    return None


def _named(year: str, month: str, day: str) -> dt.date | None:
    number = _MONTHS.get(month.casefold())
    return _date(year, str(number), day) if number else None


def _date(year: str, month: str, day: str) -> dt.date | None:
    try:
        return dt.date(int(year), int(month), int(day))
    except ValueError:
        return None


def local_moment(day: dt.date, parts: Parts) -> dt.datetime | None:
    """Read a moment of a day, in TIME_ZONE where it has its distance from UTC; None where it is none."""
    moment = _moment(day, parts)
    try:
        return moment.astimezone(timezone.get_default_timezone()) if moment and moment.tzinfo else moment
    except OverflowError:  # before the first day of the calendar, or after its last
        return None


def _moment(day: dt.date, parts: Parts) -> dt.datetime | None:
    """Build the moment of a day; None where it has no time, or a wrong one."""
    time = parts.time if parts.time[1:2] != ":" else f"0{parts.time}"
    zone = "Z" if parts.zone == "UTC" else parts.zone
    try:
        return dt.datetime.fromisoformat(f"{day.isoformat()}T{time}{zone}") if time else None
    except ValueError:
        return None
