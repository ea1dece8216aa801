"""The charts of the simulator, the backtest and the planner: pure functions from results to what is drawn."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from allocation.engine.lab.recommendation import Estimate
from dashboard.charts import Chart, Mark, Series
from dashboard.lab.contenders import Column
from dashboard.templatetags.formats import percent

_COLOURS = 7
Reports = Mapping[str, Mapping[str, Any]]


def best_in_front(columns: Sequence[Column], reports: Reports, days: int) -> Chart:
    return Chart(
        id="best-in-front",
        title=_("Chance that the best is in front"),
        note=_("After each day: the part of the runs in which the variant in front is truly the best."),
        kind="lines",
        unit="percent",
        x_title=_("Day"),
        y_title=_("Part of the runs"),
        x=_days(days),
        y_max=1,
        series=_lines(columns, reports, "best_in_front_by_day"),
    )


def regret(columns: Sequence[Column], reports: Reports, days: int) -> Chart:
    """Means with the middle 80% of the runs."""
    return Chart(
        id="regret",
        title=_("Regret"),
        note=_(
            "Clicks lost so far against always serving the best: the mean of the runs, and the band that holds 80% of "
            "them."
        ),
        kind="lines",
        unit="count",
        x_title=_("Day"),
        y_title=_("Clicks"),
        x=_days(days),
        bounds=("p10", "p90"),
        series=[
            Series(
                column.name,
                column.colour,
                reports[column.key]["regret_mean_by_day"],
                reports[column.key]["regret_p10_by_day"],
                reports[column.key]["regret_p90_by_day"],
            )
            for column in columns
        ],
    )


def shares(column: Column, report: Mapping[str, Any], rates: Sequence[float]) -> Chart:
    by_day = report["mean_shares_by_day"]
    return Chart(
        id=f"shares-{column.key}",
        title=_("Traffic split: %(column)s") % {"column": column.name},
        note=_("Each variant's share of the traffic, day by day, on average over the runs."),
        kind="area",
        unit="percent",
        x_title=_("Day"),
        y_title=_("Share of traffic"),
        x=_days(len(by_day)),
        y_max=1,
        series=[
            Series(name, _variant_colour(place), [day[place] for day in by_day])
            for place, name in enumerate(variant_names(rates))
        ],
    )


def gains(columns: Sequence[Column], estimates: Mapping[str, Estimate]) -> Chart:
    """One bar a column, with the 95% interval over the tests."""
    return Chart(
        id="gains",
        title=_("Clicks gained over an even split"),
        note=_(
            "Over all tests, with 95% intervals: how far it might have come out otherwise with other tests."
        ),
        kind="bars",
        unit="count",
        x_title="",
        y_title=_("Clicks"),
        x=[column.name for column in columns],
        y_min=None,
        series=[
            Series(
                column.name,
                column.colour,
                _only(place, len(columns), estimates[column.key].value),
                _only(place, len(columns), _finite(estimates[column.key].low, estimates[column.key].value)),
                _only(place, len(columns), _finite(estimates[column.key].high, estimates[column.key].value)),
            )
            for place, column in enumerate(columns)
        ],
    )


def decided(columns: Sequence[Column], reports: Reports, days: int, classical_days: int) -> Chart:
    """How many runs have come to an end by each day, beside the classical test's only one."""
    mark = Mark("x", classical_days, _("classical test ends"))
    return Chart(
        id="decided",
        title=_("Decided by day"),
        note=_("The part of the runs in which less than 1% is left to gain, so that the test can stop."),
        kind="lines",
        unit="percent",
        x_title=_("Day"),
        y_title=_("Part of the runs"),
        x=_days(days),
        y_max=1,
        marks=[mark] if classical_days <= days else [],
        series=_lines(columns, reports, "stopped_by_day"),
    )


def variant_names(rates: Sequence[float]) -> list[str]:
    """The control, then B, C, ..., each with its true rate."""
    names = [
        _("Control"),
        *(_("Variant %(letter)s") % {"letter": chr(ord("A") + n)} for n in range(1, len(rates))),
    ]
    return [f"{name}, {_rate(rate)}" for name, rate in zip(names, rates, strict=True)]


def _rate(rate: float) -> str:
    text = f"{100 * rate:.6f}".rstrip("0").rstrip(".")
    return f"{number_format(text, len(text.partition('.')[2]) or None)}%" if rate else percent(0, 0)


def _variant_colour(place: int) -> str:
    return f"variant-{(place - 1) % _COLOURS + 1}" if place else "variant-control"


def _lines(columns: Sequence[Column], reports: Reports, name: str) -> list[Series]:
    return [Series(column.name, column.colour, reports[column.key][name]) for column in columns]


def _days(days: int) -> list[float]:
    return [float(day) for day in range(1, days + 1)]


def _only(index: int, length: int, value: float) -> list[float | None]:
    return [value if place == index else None for place in range(length)]


def _finite(bound: float, value: float) -> float:
    """A single test has no interval; its bar goes without whiskers."""
    return value if bound in (float("inf"), float("-inf")) else bound
