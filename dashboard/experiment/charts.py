"""Charts of one experiment, by pure functions of what was read."""

import datetime as dt
from collections.abc import Callable, Sequence

import numpy as np
from django.utils.translation import gettext as _

from allocation.engine.posterior.beta import Floats
from allocation.models import Allocation, AllocationShare
from allocation.statistics.experiment import Convergence, DailyRewards, VariantStatistics
from dashboard.charts import Chart, Interval, Mark, Series, Unit, single_bars, variant_colours
from dashboard.experiment.rates import DailyCountsTable, density, density_range, posterior_unit, rates_of
from experiments.metrics import COUNTS, VALUES, Kind, Reward
from experiments.models import Experiment, Variant
from notifications.alarms import is_same_change

_CONVERGED = 0.95


def cumulative_rates(
    table: DailyCountsTable,
    experiment: Experiment,
    prior: tuple[float, float | None],
    changes: Sequence[dt.date] = (),
) -> Chart:
    """Draw the posterior means of all data up to each day, with 95% credible bands."""
    reward = experiment.goal
    trials = np.cumsum(table.trials(reward), axis=0)
    found = rates_of(table, reward, prior, so_far=True)
    return Chart(
        id="cumulative-rates",
        title=_("Rate so far"),
        note=_(
            "All data up to each day, every day alike, with 95% bands. What is decided rests on the evidence, in which "
            "days before a change count less."
        ),
        unit=_rate_unit(reward),
        y_title=_reward_name(experiment),
        x=table.days,
        y_min=None,
        tall=True,
        marks=_marks(changes),
        series=_rate_series(table.variants, found.mean, trials, found.bounds),
    )


def daily_rates(
    table: DailyCountsTable,
    experiment: Experiment,
    prior: tuple[float, float | None],
    changes: Sequence[dt.date] = (),
) -> Chart:
    """Draw each day by itself; a day's band is as wide as its traffic is thin."""
    reward = experiment.goal
    trials, successes = table.trials(reward), table.successes(reward)
    observed = successes / np.maximum(trials, 1)
    return Chart(
        id="daily-rates",
        title=_("Rate per day"),
        note=_("Each day by itself, with 95% bands: swings that all variants share are the days' own."),
        unit=_rate_unit(reward),
        y_title=_reward_name(experiment),
        x=table.days,
        # lines decide the height, not the bands of days with a handful of visitors
        y_max=_with_headroom(float(observed.max(initial=0.0)), np.inf if reward.is_value else 1.0),
        marks=_marks(changes),
        series=_rate_series(
            table.variants, observed, trials, rates_of(table, reward, prior, so_far=False).bounds
        ),
    )


def daily_counts(table: DailyCountsTable) -> list[Chart]:
    """Draw each kind of count per day, where there are any."""
    return [
        Chart(
            id=f"daily-{count.name}",
            title=str(count.per_day),
            unit="count" if count.kind is Kind.WHOLE else "number",
            y_title=str(count.label),
            x=table.days,
            series=_count_series(table, values),
        )
        for count in (*COUNTS, VALUES[0])
        if (values := getattr(table.measures, count.name)).any()
    ]


def rate_comparison(
    variants: Sequence[Variant], statistics: Sequence[VariantStatistics], experiment: Experiment
) -> Chart:
    """Draw the posterior rates with 95% intervals; one bar a variant that has enough data, in its own colour."""
    colours = variant_colours(variants)
    judged = [pair for pair in zip(variants, statistics, strict=True) if pair[1].enough_data]
    return Chart(
        id="rate-comparison",
        title=_("Rates compared"),
        note=_("What the decision believes: day-adjusted rates of the window with 95% credible intervals."),
        kind="bars",
        unit=_rate_unit(experiment.goal),
        x_title=_("Variant"),
        y_title=_reward_name(experiment),
        x=[variant.name for variant, _statistics in judged],
        series=single_bars(
            [
                (variant.name, colours[variant.pk], Interval(row.rate, row.rate_low, row.rate_high))
                for variant, row in judged
            ]
        ),
    )


def shares_over_time(variants: Sequence[Variant], history: Sequence[Allocation]) -> Chart:
    """Draw the split that was in force, oldest first; ``history`` is newest first, one entry a date."""
    return Chart(
        id="shares",
        title=_("Traffic split over time"),
        note=_("The share of traffic each variant got, by the decision for each date."),
        kind="area",
        y_title=_("Share of traffic"),
        x=_dates(history),
        y_max=1,
        tall=True,
        marks=_changes(history),
        series=_share_series(variants, history, lambda share: float(share.share), absent=0.0),
    )


def wanted_and_applied(variants: Sequence[Variant], history: Sequence[Allocation]) -> Chart:
    """Draw the targets before the limits beside the shares after them."""
    applied = _share_series(variants, history, lambda share: float(share.share))
    wanted = _share_series(variants, history, lambda share: share.target)
    return Chart(
        id="wanted",
        title=_("Wanted and applied"),
        note=_(
            "Solid: the share applied. Dashed: what the evidence asked for before floors and the daily cap."
        ),
        kind="steps",
        y_title=_("Share of traffic"),
        x=_dates(history),
        y_max=1,
        series=[
            series
            for one, other in zip(applied, wanted, strict=True)
            for series in (
                one,
                Series(_("%(name)s, wanted") % {"name": other.name}, other.colour, other.values, dashed=True),
            )
        ],
    )


def _changes(history: Sequence[Allocation]) -> list[Mark]:
    return _marks([allocation.rates_changed_on for allocation in history if allocation.rates_changed_on])


def _marks(changes: Sequence[dt.date]) -> list[Mark]:
    """A mark on each day since when the variants compare differently, as the last decision that told of it saw it.

    ``changes`` as the decisions saw them, the newest decision first.
    """
    found: dict[dt.date, Mark] = {}
    for date in changes:
        if not any(is_same_change(date, known) for known in found):
            found[date] = Mark("x", date.isoformat(), _("rates changed"))
    return list(found.values())


def chances_over_time(variants: Sequence[Variant], history: Sequence[Allocation]) -> Chart:
    return Chart(
        id="chances",
        title=_("Chance of being the best"),
        note=_("As each day's decision saw it. At 95% a leader is named."),
        y_title=_("Probability best"),
        x=_dates(history),
        y_max=1,
        tall=True,
        marks=[Mark("y", _CONVERGED, "95%"), *_changes(history)],
        series=_share_series(
            variants, history, lambda share: None if share.missing_trials else share.probability_best
        ),
    )


def value_remaining(history: Sequence[Allocation]) -> Chart:
    """Draw how much better another variant may still be, by each day's decision."""
    return Chart(
        id="value-remaining",
        title=_("Value remaining"),
        note=_(
            "With 95% probability no variant is better than the leader by more than this. Below 1% the test is decided."
        ),
        y_title=_("Still to gain"),
        x=_dates(history),
        # the first days may leave a thousandfold open, which would flatten all that follows
        y_max=1 if any((a.value_remaining or 0) > 1 for a in history) else None,
        marks=[Mark("y", 0.01, "1%"), *_changes(history)],
        series=[
            Series(
                _("Value remaining"),
                "variant-1",
                [a.value_remaining if a.kind == "optimized" else None for a in reversed(history)],
            )
        ],
    )


def posterior_densities(
    variants: Sequence[Variant], shares: Sequence[AllocationShare], experiment: Experiment
) -> Chart:
    """Draw the Beta densities of the decision in force, each with area 1, of variants that have enough data.

    Those of values are of parts of a large amount, ``unit``, which the rates tell.
    """
    known = [
        share
        for share in shares
        if share.posterior_alpha and share.posterior_beta and not share.missing_trials
    ]
    by_value, unit = experiment.goal.is_value, posterior_unit(known) if experiment.goal.is_value else 100.0
    alpha = np.array([share.posterior_alpha for share in known], dtype=np.float64)
    beta = np.array([share.posterior_beta for share in known], dtype=np.float64)
    x = density_range(alpha, beta)
    colours = variant_colours(variants)
    return Chart(
        id="posteriors",
        title=_("What is known of each rate"),
        note=_(
            "Each curve shows which rates are plausible, and how plausible. The narrower, the more is known."
        ),
        unit="number",
        x_title=_reward_name(experiment)
        if by_value
        else _("%(rate)s, in percent") % {"rate": _reward_name(experiment)},
        y_title=_("Density") if by_value else _("Density, per percentage point"),
        x=[float(f"{unit * value:.5g}") for value in x],
        tall=True,
        series=[
            Series(share.variant.name, colours[share.variant_id], density(x, a, b, unit).tolist())
            for share, a, b in zip(known, alpha, beta, strict=True)
        ],
    )


def cumulative_rewards(
    by_day: Sequence[DailyRewards], experiment: Experiment, changes: Sequence[dt.date] = ()
) -> list[Chart]:
    """Draw what the split brought over an even one, and its cost against always serving the best variant."""
    goal, days = experiment.goal, [row.date for row in by_day]
    unit = _with_currency(str(goal.successes_count.label), experiment)
    return [
        Chart(
            id="gained",
            title=_("Gained over an even split"),
            note=_("Expected rewards beyond what equal shares would have brought, added up."),
            unit="count",
            y_title=unit,
            x=days,
            y_min=None,
            marks=_marks(changes),
            series=[
                Series(
                    _("Gained"),
                    "variant-3",
                    [row.gained_over_even for row in by_day],
                    [row.gained_low for row in by_day],
                    [row.gained_high for row in by_day],
                )
            ],
        ),
        Chart(
            id="given-up",
            title=_("Regret"),
            note=_(
                "Rewards given up against always serving the best variant, added up: the price of finding out."
            ),
            unit="count",
            y_title=unit,
            x=days,
            y_min=None,
            marks=_marks(changes),
            series=[Series(_("Given up"), "variant-6", [row.given_up for row in by_day])],
        ),
    ]


def convergence(found: Convergence, leader: Variant, colour: str) -> Chart:
    """Draw the leader's share and chance over time, and the day it first passed 95%."""
    shares = {row.date: row.share for row in found.leader_share}
    chances = {row.date: row.probability_best for row in found.leader_probability_best}
    days = sorted({*shares, *chances})
    passed = found.first_passed_95_percent
    mark = Mark("x", passed.isoformat(), _("passed 95%")) if passed else None
    return Chart(
        id="convergence",
        title=_("Convergence on %(leader)s") % {"leader": leader.name},
        note=_("The leading variant's share of traffic, and its chance of being the best."),
        y_title="",
        x=days,
        y_max=1,
        marks=[mark] if mark else [],
        series=[
            Series(_("Share of traffic"), colour, [shares.get(day) for day in days]),
            Series(_("Probability best"), colour, [chances.get(day) for day in days], dashed=True),
        ],
    )


def _rate_series(variants: Sequence[Variant], rates: Floats, trials: Floats, bounds: Floats) -> list[Series]:
    """Draw a line with its band for each variant, from (D, K) rates and trials and (D, K, 2) bounds."""
    colours = variant_colours(variants)
    return [
        Series(
            variant.name,
            colours[variant.pk],
            _gaps(rates[:, i], trials[:, i]),
            _gaps(bounds[:, i, 0], trials[:, i]),
            _gaps(bounds[:, i, 1], trials[:, i]),
        )
        for i, variant in enumerate(variants)
    ]


def _count_series(table: DailyCountsTable, values: Floats) -> list[Series]:
    colours, shown = variant_colours(table.variants), table.measures.impressions
    return [
        Series(variant.name, colours[variant.pk], _gaps(values[:, i], shown[:, i]))
        for i, variant in enumerate(table.variants)
    ]


def _dates(history: Sequence[Allocation]) -> list[dt.date]:
    return [allocation.target_date for allocation in reversed(history)]


def _share_series(
    variants: Sequence[Variant],
    history: Sequence[Allocation],
    value: Callable[[AllocationShare], float | None],
    absent: float | None = None,
) -> list[Series]:
    """Draw a line for each variant over the dates, oldest first; ``absent`` where a decision had no share for it."""
    colours = variant_colours(variants)
    by_date = [
        {share.variant_id: value(share) for share in allocation.shares.all()}
        for allocation in reversed(history)
    ]
    return [
        Series(variant.name, colours[variant.pk], [shares.get(variant.pk, absent) for shares in by_date])
        for variant in variants
    ]


def _with_headroom(highest: float, most: float) -> float | None:
    """Find the next round number above a fifth more, at most ``most``; None where all is 0."""
    if highest <= 0:
        return None
    step = 10.0 ** np.floor(np.log10(1.2 * highest)) / 2
    return float(min(np.ceil(1.2 * highest / step) * step, most))


def _gaps(values: Floats, trials: Floats) -> list[float | None]:
    """Leave a gap where a variant had no trials: nothing is known there."""
    return [float(value) if n > 0 else None for value, n in zip(values, trials, strict=True)]


def _reward_name(experiment: Experiment) -> str:
    return _with_currency(str(experiment.goal.label), experiment)


def _with_currency(name: str, experiment: Experiment) -> str:
    return f"{name}, {experiment.currency}" if experiment.goal.is_value and experiment.currency else name


def _rate_unit(reward: Reward) -> Unit:
    return "number" if reward.is_value else "percent"
