"""Charts of the simulator, the backtest and the planner, by pure functions of their results."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from allocation.engine.lab.recommendation import Estimate
from allocation.engine.lab.report import SimulationResult, WatchedResult
from dashboard.charts import Chart, Interval, Mark, Series, nth_colour, single_bars
from dashboard.lab.contenders import Column
from dashboard.templatetags.formats import percent

Reports = Mapping[str, WatchedResult]


def best_in_front(columns: Sequence[Column], reports: Reports, days: int) -> Chart:
    return Chart(
        id="best-in-front",
        title=_("Chance that the best is in front"),
        note=_("After each day: the part of the runs in which the variant in front is truly the best."),
        x_title=_("Day"),
        y_title=_("Part of the runs"),
        x=_days(days),
        y_max=1,
        series=_lines(columns, reports, lambda result: result.best_in_front_by_day),
    )


def regret(columns: Sequence[Column], reports: Reports, days: int) -> Chart:
    """Draw means with the middle 80% of the runs."""
    return Chart(
        id="regret",
        title=_("Regret"),
        note=_(
            "Clicks lost so far against always serving the best: the mean of the runs, and the band that holds 80% of "
            "them."
        ),
        unit="count",
        x_title=_("Day"),
        y_title=_("Clicks"),
        x=_days(days),
        bounds=("p10", "p90"),
        series=[
            Series(
                column.name,
                column.colour,
                reports[column.key].regret_mean_by_day,
                reports[column.key].regret_p10_by_day,
                reports[column.key].regret_p90_by_day,
            )
            for column in columns
        ],
    )


def shares(column: Column, result: SimulationResult, rates: Sequence[float]) -> Chart:
    by_day = result.mean_shares_by_day
    return Chart(
        id=f"shares-{column.key}",
        title=_("Traffic split: %(column)s") % {"column": column.name},
        note=_("Each variant's share of the traffic, day by day, on average over the runs."),
        kind="area",
        x_title=_("Day"),
        y_title=_("Share of traffic"),
        x=_days(len(by_day)),
        y_max=1,
        series=[
            Series(name, nth_colour(place), [day[place] for day in by_day])
            for place, name in enumerate(variant_names(rates))
        ],
    )


def gains(columns: Sequence[Column], estimates: Mapping[str, Estimate]) -> Chart:
    """Draw one bar a column, with the 95% interval over the tests."""
    return Chart(
        id="gains",
        title=_("Clicks gained over an even split"),
        note=_(
            "Over all tests, with 95% intervals: how far it might have come out otherwise with other tests."
        ),
        kind="bars",
        unit="count",
        y_title=_("Clicks"),
        x=[column.name for column in columns],
        y_min=None,
        series=single_bars(
            [(column.name, column.colour, _interval(estimates[column.key])) for column in columns]
        ),
    )


def decided(columns: Sequence[Column], reports: Reports, days: int, classical_days: int) -> Chart:
    """Draw how many runs have come to an end by each day, beside the one day of the classical test."""
    mark = Mark("x", classical_days, _("classical test ends"))
    return Chart(
        id="decided",
        title=_("Decided by day"),
        note=_("The part of the runs in which less than 1% is left to gain, so that the test can stop."),
        x_title=_("Day"),
        y_title=_("Part of the runs"),
        x=_days(days),
        y_max=1,
        marks=[mark] if classical_days <= days else [],
        series=_lines(columns, reports, lambda result: result.stopped_by_day),
    )


def variant_names(rates: Sequence[float]) -> list[str]:
    """Name the control, then B, C, ..., each with its true rate."""
    names = [
        _("Control"),
        *(_("Variant %(letter)s") % {"letter": chr(ord("A") + n)} for n in range(1, len(rates))),
    ]
    return [f"{name}, {_rate(rate)}" for name, rate in zip(names, rates, strict=True)]


def _rate(rate: float) -> str:
    text = f"{100 * rate:.6f}".rstrip("0").rstrip(".")
    return f"{number_format(text, len(text.partition('.')[2]) or None)}%" if rate else percent(0, 0)


def _lines(
    columns: Sequence[Column], reports: Reports, values: Callable[[WatchedResult], Sequence[float]]
) -> list[Series]:
    return [Series(column.name, column.colour, values(reports[column.key])) for column in columns]


def _days(days: int) -> list[float]:
    return [float(day) for day in range(1, days + 1)]


def _interval(estimate: Estimate) -> Interval:
    """Take the 95% interval; a single test has none, and its bar goes without whiskers."""
    if not np.isfinite(estimate.standard_error):
        return Interval(estimate.value, estimate.value, estimate.value)
    return Interval(estimate.value, estimate.low, estimate.high)
