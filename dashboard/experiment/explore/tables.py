"""Tables of the explore tab: results of the chosen span, weekdays by variant, the funnel, two dates compared."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from allocation.statistics.over_time import LiftOn
from dashboard.experiment.lines import Line
from dashboard.experiment.rates import DailyCountsTable, Named
from experiments.metrics import Reward

# Steps of the shade of a cell.
_SHADES = 5
_MONDAY = dt.date(2024, 1, 1)


class HeatCell(NamedTuple):
    """A rate and its shade: 0 for the lowest of the table, 5 for the highest; None where nothing was shown."""

    rate: float | None
    shade: int


class HeatRow(NamedTuple):
    """A line of the charts with its rate on each day of the week."""

    line: Named
    cells: list[HeatCell]


@dataclass(frozen=True)
class HeatTable:
    """Days of the week, and the rates of each line on them."""

    days: list[str]
    rows: list[HeatRow]


def weekdays(table: DailyCountsTable, reward: Reward) -> HeatTable | None:
    """Add up days of the week; None before two of them have been seen."""
    places = np.array([day.weekday() for day in table.days], dtype=int)
    if len(set(places.tolist())) < 2:
        return None
    trials, successes = np.zeros((7, len(table.lines))), np.zeros((7, len(table.lines)))
    np.add.at(trials, places, table.trials(reward))
    np.add.at(successes, places, table.successes(reward))
    rates = np.where(trials > 0, successes / np.maximum(trials, 1), np.nan)
    low, high = np.nanmin(rates), np.nanmax(rates)
    names = [date_format(_MONDAY + dt.timedelta(days=n), "D") for n in range(7)]
    rows = [
        HeatRow(line, [_cell(rates[n, i], low, high) for n in range(7)]) for i, line in enumerate(table.lines)
    ]
    return HeatTable(names, rows)


def _cell(rate: float, low: float, high: float) -> HeatCell:
    if np.isnan(rate):
        return HeatCell(None, 0)
    return HeatCell(float(rate), round(_SHADES * (rate - low) / (high - low)) if high > low else 0)


class FunnelRow(NamedTuple):
    """A line's totals, and the rates from one to the next; None where the first is 0."""

    line: Named
    impressions: float
    clicks: float
    conversions: float
    click_rate: float | None
    click_conversion: float | None
    conversion_rate: float | None


def funnel(table: DailyCountsTable) -> list[FunnelRow]:
    """Follow visitors from an impression to a click to a conversion."""
    sums = [table.measures.impressions, table.measures.clicks, table.measures.conversions]
    totals = np.stack([numbers.sum(axis=0) for numbers in sums], axis=1)
    return [
        FunnelRow(line, n, clicks, converted, _part(clicks, n), _part(converted, clicks), _part(converted, n))
        for line, (n, clicks, converted) in zip(table.lines, totals.tolist(), strict=True)
    ]


def _part(some: float, of: float) -> float | None:
    return some / of if of else None


class ComparedRow(NamedTuple):
    """A line by the data up to each of two dates, with its traffic share on them."""

    line: Line
    first: LiftOn
    second: LiftOn
    first_share: float | None
    second_share: float | None


def column_title(date: dt.date) -> str:
    return _("By %(date)s") % {"date": date_format(date, _("j M Y"))}


def share_on(
    days: Sequence[tuple[dt.date, dict[int, float]]], date: dt.date, ids: Sequence[int]
) -> float | None:
    """Find the part of traffic that the last decision for ``date`` or before gave."""
    known = [shares for day, shares in days if day <= date]
    return sum(known[-1].get(pk, 0.0) for pk in ids) if known else None
