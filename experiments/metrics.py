"""Counts, values and goals as data: the numbers observed each day, and the ratio that each goal is.

Forms, the API, CSV, charts and SQL loop over these tables. A new goal of existing numbers takes a member of
``Reward``, its ratio, and a migration of the CHECK.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from operator import add, le
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast

from django.db import models
from django.db.models.functions import Cast, Greatest
from django.utils.translation import gettext_lazy as _

from experiments.text import Text

# Sums of ten million rows with this count still fit into 64 bits.
HIGHEST_COUNT = 10**12
# Values are amounts of money or the like: exact, with so many decimal places.
VALUE_PLACES = 4
HIGHEST_VALUE = Decimal(10**15)
# As many digits as a float keeps, and SQLite.
EXACT_DIGITS = 15
HIGHEST_SQUARES = float(HIGHEST_VALUE**2)
# Squares are added as floats; their sum may be a hair less than exact.
SQUARES_TOLERANCE = 1 + 1e-9
# What rounding may add to the largest squares: a part of them, and a cent.
_ROUNDED_PART, _CENT = 1.01, 0.01
NO_VALUE = Decimal(0)

T = TypeVar("T")
Covariant = TypeVar("Covariant", covariant=True)


class Kind(Enum):
    """A kind of number, with the type of its column in PostgreSQL."""

    WHOLE = "bigint"
    AMOUNT = "numeric"
    SQUARES = "double precision"


@dataclass(frozen=True)
class Measure:
    """A number of a day. Where ``within`` names another one, it never exceeds that one.

    ``unit`` is its name within a sentence; ``too_many`` says, with both numbers, that it exceeds the other.
    An ``optional`` number may be left out of a row and is 0 then.
    """

    name: str
    label: Text
    unit: Text
    per_day: Text
    within: str | None = None
    too_many: Text = ""
    optional: bool = False
    kind: Kind = Kind.WHOLE

    @property
    def highest(self) -> Any:
        return _HIGHEST[self.kind]

    @property
    def zero(self) -> Any:
        return self.parse("0")

    def parse(self, text: str) -> Any:
        """Read a number that is known to be well formed."""
        return _PARSERS[self.kind](text)


Number = int | Decimal | float
_HIGHEST: dict[Kind, Number] = {
    Kind.WHOLE: HIGHEST_COUNT,
    Kind.AMOUNT: HIGHEST_VALUE,
    Kind.SQUARES: HIGHEST_SQUARES,
}
_PARSERS: dict[Kind, Callable[[str], Number]] = {Kind.WHOLE: int, Kind.AMOUNT: Decimal, Kind.SQUARES: float}

COUNTS = (
    Measure("impressions", _("Impressions"), _("impressions"), _("Impressions per day")),
    Measure(
        "clicks",
        _("Clicks"),
        _("clicks"),
        _("Clicks per day"),
        within="impressions",
        too_many=_(
            "clicks (%(clicks)s) must not exceed impressions (%(impressions)s): count at most one for each impression, "
            "on the impression's day"
        ),
    ),
    Measure(
        "conversions",
        _("Conversions"),
        _("conversions"),
        _("Conversions per day"),
        # not within clicks: a view may convert without one, and a click several times
        within="impressions",
        too_many=_(
            "conversions (%(conversions)s) must not exceed impressions (%(impressions)s): count at most one for each "
            "impression, on the impression's day"
        ),
        optional=True,
    ),
)
_SQUARES = "value_squares"
VALUES = (
    Measure("value_sum", _("Value"), _("value"), _("Value per day"), optional=True, kind=Kind.AMOUNT),
    Measure(
        _SQUARES,
        _("Sum of squared values"),
        _("sum of squared values"),
        _("Squared values per day"),
        optional=True,
        kind=Kind.SQUARES,
    ),
)
MEASURES = (*COUNTS, *VALUES)
COUNT_NAMES = tuple(count.name for count in COUNTS)
VALUE_NAMES = tuple(value.name for value in VALUES)
MEASURE_NAMES = (*COUNT_NAMES, *VALUE_NAMES)
# Counts that lie within no other: if they are in range, all are.
OUTERMOST = tuple(count.name for count in COUNTS if count.within is None)
_NESTED = tuple((count, count.name, count.within) for count in COUNTS if count.within)
_BY_NAME = {measure.name: measure for measure in MEASURES}


class HasCounts(Protocol[Covariant]):
    """An object with an attribute for each count: a row of numbers, a table of arrays, columns of a query."""

    @property
    def impressions(self) -> Covariant: ...
    @property
    def clicks(self) -> Covariant: ...
    @property
    def conversions(self) -> Covariant: ...


class HasMeasures(HasCounts[Covariant], Protocol[Covariant]):
    """An object with an attribute for each measure."""

    @property
    def value_sum(self) -> Covariant: ...
    @property
    def value_squares(self) -> Covariant: ...


class Counts(NamedTuple, Generic[T]):
    """A value for each of COUNTS, in their order: numbers of a day, arrays, or columns of a query."""

    impressions: T
    clicks: T
    conversions: T


NO_COUNTS = Counts(*(0 for _count in COUNTS))


class Measures(NamedTuple, Generic[T]):
    """A number for each of MEASURES, in their order, all of one type: floats, arrays, or columns of a query."""

    impressions: T
    clicks: T
    conversions: T
    value_sum: T
    value_squares: T


class DayTotals(NamedTuple):
    """A day's number for each of MEASURES, in their order, exact."""

    impressions: int
    clicks: int
    conversions: int
    value_sum: Decimal = NO_VALUE
    value_squares: float = 0.0

    @property
    def counts(self) -> Counts[int]:
        return Counts(*self[:3])

    def plus(self, other: "DayTotals") -> "DayTotals":
        return DayTotals(*map(add, self, other))


NO_TOTALS = DayTotals(*NO_COUNTS)


class DailyCounts(NamedTuple):
    """Totals of one variant on one day; the variant is given by its name or key.

    ``value_squares`` is the sum of the squares of the single values that ``value_sum`` adds up. Where both are None, no
    values are given: what is stored of them stays.
    """

    date: dt.date
    variant_name: str
    impressions: int
    clicks: int
    conversions: int = 0
    value_sum: Decimal | None = None
    value_squares: float | None = None

    @property
    def has_values(self) -> bool:
        return self.value_sum is not None or self.value_squares is not None

    @property
    def counts(self) -> Counts[int]:
        return Counts(*self[2:5])

    @property
    def totals(self) -> DayTotals:
        """Return the numbers of the day, where none are given as 0."""
        return DayTotals(*self[2:5], self.value_sum or NO_VALUE, self.value_squares or 0.0)

    def with_values(self, other: DayTotals) -> "DailyCounts":
        """Give the row the values of ``other``."""
        return self._replace(value_sum=other.value_sum, value_squares=other.value_squares)

    def plus(self, other: DayTotals) -> "DailyCounts":
        total = DailyCounts(self.date, self.variant_name, *map(add, self.totals, other))
        if self.has_values or other.value_sum or other.value_squares:
            return total
        return total._replace(value_sum=None, value_squares=None)


def columns_of(rows: Iterable[DailyCounts]) -> Any:
    """Turn rows into one that has a column in the place of each number, so that many are looked at at once."""
    columns: Iterable[Any] = zip(*rows, strict=True)
    return DailyCounts(*columns)


class Reward(models.TextChoices):
    """The goal of an experiment: a ratio of two numbers, the successes (or the value) and the trials."""

    CTR = "ctr", _("Click-through rate (CTR)")
    CONVERSION_RATE = "conversion_rate", _("Conversion rate")
    CLICK_CONVERSION_RATE = "click_conversion_rate", _("Post-click conversion rate")
    VALUE_PER_IMPRESSION = "value_per_impression", _("Value per impression")
    VALUE_PER_CLICK = "value_per_click", _("Value per click")

    @property
    def successes_count(self) -> Measure:
        return _BY_NAME[_RATIOS[self][0]]

    @property
    def trials_count(self) -> Measure:
        return _BY_NAME[_RATIOS[self][1]]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the numbers that a file must have for this goal."""
        squares = VALUE_NAMES[1:] if self.is_value else ()
        return (self.trials_count.name, self.successes_count.name, *squares)

    @property
    def is_value(self) -> bool:
        """True where an amount stands in the place of the successes."""
        return self.successes_count.kind is Kind.AMOUNT

    def trials(self, row: HasCounts[T]) -> T:
        return cast(T, getattr(row, self.trials_count.name))

    def successes(self, row: HasCounts[T]) -> T:
        """Return the successes, or the value; ``row`` then has it."""
        return cast(T, getattr(row, self.successes_count.name))

    def squares(self, row: HasMeasures[T]) -> T:
        """Return the sum of the squares of the single successes; each success of a count is 1."""
        return row.value_squares if self.is_value else self.successes(row)

    def problem(self, row: HasCounts[int]) -> tuple[str, str] | None:
        """Name what this goal cannot take of a row that is right by itself: the field, and why with the fix."""
        trials, successes = self.trials_count.name, self.successes_count.name
        if self.is_value or getattr(row, successes) <= getattr(row, trials):
            return None
        return successes, str(_BEYOND_TRIALS) % {n: getattr(row, n) for n in COUNT_NAMES}


# The ratio that each goal is: successes per trials.
_RATIOS = {
    Reward.CTR: ("clicks", "impressions"),
    Reward.CONVERSION_RATE: ("conversions", "impressions"),
    Reward.CLICK_CONVERSION_RATE: ("conversions", "clicks"),
    Reward.VALUE_PER_IMPRESSION: ("value_sum", "impressions"),
    Reward.VALUE_PER_CLICK: ("value_sum", "clicks"),
}
# The only counts of a goal that the database does not nest.
_BEYOND_TRIALS = _(
    "conversions (%(conversions)s) exceed clicks (%(clicks)s), and the goal is conversions per click: count one "
    "conversion for each click, on the click's day, or choose conversions per impression as the goal"
)


def some_goal_refuses(row: DailyCounts) -> bool:
    """Tell if a goal exists that cannot take a row that is right by itself."""
    return row.conversions > row.clicks


def every_goal_takes(columns: HasCounts[Sequence[int]]) -> bool:
    """Tell of many rows at once that some_goal_refuses none."""
    return all(map(le, columns.conversions, columns.clicks))


def nesting_problems(row: HasCounts[int]) -> list[tuple[str, str]]:
    """Name each count that exceeds the one it lies within, with a sentence that says so."""
    exceeding = [count for count, name, within in _NESTED if getattr(row, name) > getattr(row, within)]
    return [(c.name, str(c.too_many) % {n: getattr(row, n) for n in COUNT_NAMES}) for c in exceeding]


def is_nested(row: HasCounts[int]) -> bool:
    """Tell of a row that nesting_problems finds nothing."""
    return all(getattr(row, name) <= getattr(row, within) for _count, name, within in _NESTED)


def are_nested(columns: HasCounts[Sequence[int]]) -> bool:
    """Tell of many rows at once that nesting_problems finds nothing in any."""
    return all(all(map(le, getattr(columns, name), getattr(columns, within))) for _c, name, within in _NESTED)


def nesting_condition() -> models.Q:
    """Build the condition of the database: all counts nested, from 0 to HIGHEST_COUNT."""
    containers = {count.within for count in COUNTS}
    conditions: list[tuple[str, Any]] = [(f"{n}__gte", 0) for n in COUNT_NAMES if n not in containers]
    conditions += [(f"{name}__lte", models.F(within)) for _count, name, within in _NESTED]
    conditions += [(f"{name}__lte", HIGHEST_COUNT) for name in OUTERMOST]
    return models.Q(*conditions)


def fewest_squares(value_sum: Decimal, conversions: int) -> float:
    """Return the least sum of squares that so many values of this sum can have: that of equal ones."""
    total = float(value_sum)
    return total * total / (max(conversions, 1) * SQUARES_TOLERANCE)


def most_squares(value_sum: Decimal) -> float:
    """Return the largest sum of squares that is taken beside a sum: that of a single value, as none is below 0.

    Sum and squares are often rounded, each by itself: 1110.89 beside 33.33, or beside the 33.3333 of a currency that
    was converted. Squares in another unit are far above that, such as 10,000 times as large in cents.
    """
    total = float(value_sum)
    return total * total * _ROUNDED_PART + _CENT


def values_condition() -> models.Q:
    """Build the condition of the database on values: from 0 on, and squares that such a sum can have."""
    total = Cast("value_sum", models.FloatField())
    values = Cast(Greatest("conversions", models.Value(1)), models.FloatField())
    fewest = total * total / (values * models.Value(SQUARES_TOLERANCE))
    return models.Q(
        ("value_sum__gte", 0),
        ("value_sum__lte", HIGHEST_VALUE),
        ("value_squares__gte", 0),
        ("value_squares__lte", HIGHEST_SQUARES),
        ("value_squares__gte", fewest),
    )
