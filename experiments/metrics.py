"""Counts and goals as data: what is observed each day, and which count a goal divides by which.

Forms, the API, CSV, charts and SQL loop over these tables. A new goal of counts that are there is a member of
``Reward`` and a migration of its CHECK.
"""

import datetime as dt
from dataclasses import dataclass
from operator import add
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast

from django.db import models
from django.utils.translation import gettext_lazy as _

from experiments.text import Text

# The largest count of a day; 64-bit sums of ten million such rows still fit.
HIGHEST_COUNT = 10**12

T = TypeVar("T")
Covariant = TypeVar("Covariant", covariant=True)


@dataclass(frozen=True)
class Count:
    """One number of a day. Where ``within`` names another count, it never exceeds that one.

    ``unit`` is its name within a sentence; ``too_many`` says, with both numbers, that it exceeds the other.
    An ``optional`` count may be left out of a row and is 0 then.
    """

    name: str
    label: Text
    unit: Text
    per_day: Text
    within: str | None = None
    too_many: Text = ""
    optional: bool = False


COUNTS = (
    Count("impressions", _("Impressions"), _("impressions"), _("Impressions per day")),
    Count(
        "clicks",
        _("Clicks"),
        _("clicks"),
        _("Clicks per day"),
        within="impressions",
        too_many=_("clicks (%(clicks)s) must not exceed impressions (%(impressions)s)"),
    ),
    Count(
        "conversions",
        _("Conversions"),
        _("conversions"),
        _("Conversions per day"),
        within="clicks",
        too_many=_("conversions (%(conversions)s) must not exceed clicks (%(clicks)s)"),
        optional=True,
    ),
)
COUNT_NAMES = tuple(count.name for count in COUNTS)
# Those that lie within no other: where they are in range, all are.
OUTERMOST = tuple(count.name for count in COUNTS if count.within is None)
_NESTED = tuple((count, count.name, count.within) for count in COUNTS if count.within)
_BY_NAME = {count.name: count for count in COUNTS}


class HasCounts(Protocol[Covariant]):
    """Anything with an attribute for each count: a row of numbers, a table of arrays, columns of a query."""

    @property
    def impressions(self) -> Covariant: ...
    @property
    def clicks(self) -> Covariant: ...
    @property
    def conversions(self) -> Covariant: ...


class Counts(NamedTuple, Generic[T]):
    """A value for each of COUNTS, in their order: a day's numbers, or an array or a column of a query for each."""

    impressions: T
    clicks: T
    conversions: T


NO_COUNTS = Counts(*(0 for _count in COUNTS))


class DailyCounts(NamedTuple):
    """One day of one variant, which is given by its name (or key), with the day's totals behind it."""

    date: dt.date
    variant_name: str
    impressions: int
    clicks: int
    conversions: int = 0

    @property
    def counts(self) -> Counts[int]:
        return Counts(*self[2:])

    def plus(self, others: Counts[int]) -> "DailyCounts":
        return DailyCounts(self.date, self.variant_name, *map(add, self.counts, others))


class Reward(models.TextChoices):
    """The goal of an experiment: a ratio of two counts, the successes and the trials."""

    CTR = "ctr", _("Clicks per impression")
    CONVERSION_RATE = "conversion_rate", _("Conversions per impression")
    CLICK_CONVERSION_RATE = "click_conversion_rate", _("Conversions per click")

    @property
    def successes_count(self) -> Count:
        return _BY_NAME[_RATIOS[self][0]]

    @property
    def trials_count(self) -> Count:
        return _BY_NAME[_RATIOS[self][1]]

    def trials(self, row: HasCounts[T]) -> T:
        return cast(T, getattr(row, self.trials_count.name))

    def successes(self, row: HasCounts[T]) -> T:
        return cast(T, getattr(row, self.successes_count.name))


# The counts whose ratio a goal is: successes per trials.
_RATIOS = {
    Reward.CTR: ("clicks", "impressions"),
    Reward.CONVERSION_RATE: ("conversions", "impressions"),
    Reward.CLICK_CONVERSION_RATE: ("conversions", "clicks"),
}


def nesting_problems(row: HasCounts[int]) -> list[tuple[str, str]]:
    """The name of each count that exceeds the one it lies within, and a sentence that says so."""
    exceeding = [count for count, name, within in _NESTED if getattr(row, name) > getattr(row, within)]
    return [(c.name, str(c.too_many) % {n: getattr(row, n) for n in COUNT_NAMES}) for c in exceeding]


def nesting_condition() -> models.Q:
    """The nesting of all counts, from 0 to HIGHEST_COUNT, as a condition of the database."""
    containers = {count.within for count in COUNTS}
    conditions: list[tuple[str, Any]] = [(f"{n}__gte", 0) for n in COUNT_NAMES if n not in containers]
    conditions += [(f"{name}__lte", models.F(within)) for _count, name, within in reversed(_NESTED)]
    conditions += [(f"{name}__lte", HIGHEST_COUNT) for name in OUTERMOST]
    return models.Q(*conditions)
