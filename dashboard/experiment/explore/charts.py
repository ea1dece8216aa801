"""Charts of the explore tab, by pure functions of what was read."""

from collections.abc import Sequence

import numpy as np
from django.utils.translation import gettext as _

from allocation.engine import Decision
from allocation.engine.posterior.beta import Floats
from allocation.statistics.over_time import LiftOn
from dashboard.charts import Chart, Series, Unit
from dashboard.experiment.rates import DailyCountsTable, bounds_of, density, density_range
from experiments.metrics import COUNTS, VALUES, Kind, Reward

# Above so many days a line a day is noise.
_DAILY_UP_TO = 60
_DAYS_BRIDGED, _WEEKS_BRIDGED = 4, 14


def lift_over_time(lifts: Sequence[LiftOn], name: str, colour: str) -> Chart:
    """Draw a variant's lift by the data up to each day, with both intervals."""
    always = [lift.always_valid for lift in lifts]
    y_min, y_max = axis_of_lifts(lifts)
    return Chart(
        id="lift-over-time",
        title=_("Lift of %(variant)s vs control, over time") % {"variant": name},
        note=_(
            "All data up to each day. Band: 95% credible interval. Dashed: 95% interval that stays valid "
            "however often one looks."
        ),
        y_title=_("Lift vs control"),
        x=[lift.date for lift in lifts],
        y_min=y_min,
        y_max=y_max,
        tall=True,
        series=[
            Series(
                name,
                colour,
                [lift.lift for lift in lifts],
                [lift.low for lift in lifts],
                [lift.high for lift in lifts],
            ),
            Series(_("High, always valid"), colour, [a.high if a else None for a in always], dashed=True),
            Series(_("Low, always valid"), colour, [a.low if a else None for a in always], dashed=True),
        ],
    )


def axis_of_lifts(lifts: Sequence[LiftOn]) -> tuple[float | None, float | None]:
    """Find the ends of the axis: the first days' intervals, which are wide, may leave the picture.

    The axis goes on a step beyond 0 where an interval does so: cut at the zero line, it would seem to end there.
    """
    settled, every = _edges(lifts[len(lifts) // 3 :]), _edges(lifts)
    if not settled:
        return None, None
    low, high = _rounded(min(0.0, *settled)), _rounded(max(0.0, *settled))
    beyond = _step(max(high, -low))
    low = min(low, -beyond) if min(every) < 0 else low
    high = max(high, beyond) if max(every) > 0 else high
    return max(low, -1.0), min(high, 10.0)


def _rounded(end: float) -> float:
    """Give the end of an axis a little room, and a number that is easy to read."""
    step = _step(1.1 * abs(end))
    return float(np.sign(end) * np.ceil(1.1 * abs(end) / step) * step)


def _step(size: float) -> float:
    return float(10.0 ** np.floor(np.log10(max(size, 1e-6))) / 2)


def _edges(lifts: Sequence[LiftOn]) -> list[float]:
    """List the ends of both intervals, as far as they are known."""
    edges = [(lift.low, lift.high) for lift in lifts]
    edges += [(always.low, always.high) for lift in lifts if (always := lift.always_valid)]
    return [edge for both in edges for edge in both if edge is not None]


def daily_rates(
    table: DailyCountsTable, reward: Reward, prior: tuple[float, float | None], title: str
) -> Chart:
    """Draw each day by itself, or each week above 60 days; a band is as wide as its traffic is thin."""
    weekly = len(table.days) > _DAILY_UP_TO
    shown = table.by_weeks() if weekly else table
    trials, successes = shown.trials(reward), shown.successes(reward)
    observed = successes / np.maximum(trials, 1)
    bounds = bounds_of(shown, reward, prior)
    return Chart(
        id="rates",
        title=_("Weekly rate") if weekly else _("Daily rate"),
        note=_("95% bands. Movements shared by all variants are day effects."),
        unit=rate_unit(reward),
        y_title=title,
        x=shown.days,
        y_max=_with_headroom(float(observed.max(initial=0.0)), np.inf if reward.is_value else 1.0),
        max_gap=_WEEKS_BRIDGED if weekly else _DAYS_BRIDGED,
        series=[
            Series(
                line.name,
                line.colour,
                _gaps(observed[:, i], trials[:, i]),
                _gaps(bounds[:, i, 0], trials[:, i]),
                _gaps(bounds[:, i, 1], trials[:, i]),
            )
            for i, line in enumerate(shown.lines)
        ],
    )


def daily_counts(table: DailyCountsTable) -> list[Chart]:
    """Draw each kind of count per day, where there are any; above 60 days the mean of each week."""
    weekly = len(table.days) > _DAILY_UP_TO
    shown, days = (table.by_weeks(), table.week_lengths()) if weekly else (table, np.ones((1, 1)))
    seen = shown.measures.impressions
    return [
        Chart(
            id=f"daily-{count.name}",
            title=str(count.per_day),
            note=_("Mean of each week.") if weekly else "",
            unit="count" if count.kind is Kind.WHOLE else "number",
            y_title="",
            x=shown.days,
            max_gap=_WEEKS_BRIDGED if weekly else _DAYS_BRIDGED,
            series=[
                Series(line.name, line.colour, _gaps((values / days)[:, i], seen[:, i]))
                for i, line in enumerate(shown.lines)
            ],
        )
        for count in (*COUNTS, VALUES[0])
        if (values := getattr(shown.measures, count.name)).any()
    ]


def densities(
    decision: Decision,
    places: Sequence[int],
    names: Sequence[str],
    colours: Sequence[str],
    title: str,
    by_value: bool,
) -> Chart:
    """Draw the posterior densities, each with area 1, of the variants at ``places``, which have enough data."""
    unit = decision.unit if by_value else 100.0
    alpha, beta = decision.alpha[list(places)], decision.beta[list(places)]
    x = density_range(alpha, beta)
    return Chart(
        id="densities",
        title=_("Probability density of each rate"),
        note=_("Narrower curves mean more certainty."),
        unit="number",
        x_title=title if by_value else _("%(rate)s, in percent") % {"rate": title},
        y_title=_("Density"),
        names_at="peak",
        x=[float(f"{unit * value:.5g}") for value in x],
        series=[
            Series(name, colour, density(x, a, b, unit).tolist())
            for name, colour, a, b in zip(names, colours, alpha, beta, strict=True)
        ],
    )


def rate_unit(reward: Reward) -> Unit:
    return "number" if reward.is_value else "percent"


def _with_headroom(highest: float, most: float) -> float | None:
    """Find the next round number above a fifth more, at most ``most``; None where all is 0."""
    if highest <= 0:
        return None
    step = 10.0 ** np.floor(np.log10(1.2 * highest)) / 2
    return float(min(np.ceil(1.2 * highest / step) * step, most))


def _gaps(values: Floats, trials: Floats) -> list[float | None]:
    """Leave a gap where a variant had no trials: nothing is known there."""
    return [float(value) if n > 0 else None for value, n in zip(values, trials, strict=True)]
