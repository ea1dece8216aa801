"""The charts of one experiment: pure functions from what was read to what is drawn."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.utils.translation import gettext as _

from allocation.engine.posterior.beta import Floats, quantiles
from allocation.models import Allocation, AllocationShare
from allocation.statistics import Convergence, DailyRewards, VariantStatistics
from dashboard.charts import Chart, Mark, Series, variant_colours
from experiments.metrics import Reward
from experiments.models import Variant

_BAND = (0.025, 0.975)
_DENSITY_POINTS = 121
_DENSITY_ENDS = (0.0005, 0.9995)
_CONVERGED = 0.95


@dataclass(frozen=True)
class DailyCountsTable:
    """Every day with data and each variant's counts, (D, K), in the order of ``variants``."""

    variants: Sequence[Variant]
    days: Sequence[dt.date]
    impressions: Floats
    clicks: Floats
    conversions: Floats

    def trials(self, reward: Reward) -> Floats:
        return reward.trials(self)

    def successes(self, reward: Reward) -> Floats:
        return reward.successes(self)


def daily_table(
    variants: Sequence[Variant], rows: Sequence[tuple[dt.date, int, int, int, int]]
) -> DailyCountsTable:
    """From (date, variant id, impressions, clicks, conversions)."""
    place = {variant.pk: index for index, variant in enumerate(variants)}
    days = sorted({row[0] for row in rows})
    at = {day: index for index, day in enumerate(days)}
    counts = np.zeros((3, len(days), len(place)))
    for day, variant, *values in rows:
        counts[:, at[day], place[variant]] = values
    return DailyCountsTable(variants, days, *counts)


def _posterior(trials: Floats, successes: Floats, prior: tuple[float, float | None]) -> tuple[Floats, Floats]:
    """The Beta of each count; a prior without failures of its own is centred on the pooled rate."""
    alpha, beta = prior
    if beta is None:
        total, most = float(successes.sum()), max(float(trials.sum()), 1.0)
        beta = alpha * (most / total - 1) if 0 < total < most else alpha * (most + 1)
    return alpha + successes, beta + trials - successes


def cumulative_rates(table: DailyCountsTable, reward: Reward, prior: tuple[float, float | None]) -> Chart:
    """Posterior means of all data up to each day, with 95% credible bands."""
    trials = np.cumsum(table.trials(reward), axis=0)
    successes = np.cumsum(table.successes(reward), axis=0)
    alpha, beta = _posterior(trials, successes, prior)
    bounds = quantiles(alpha, beta, _BAND)
    mean = alpha / (alpha + beta)
    return Chart(
        id="cumulative-rates",
        title=_("Rate so far"),
        note=_("All data up to each day, with 95% bands. Where bands part, variants differ."),
        kind="lines",
        unit="percent",
        x_title=_("Date"),
        y_title=_reward_name(reward),
        x=table.days,
        y_min=None,
        tall=True,
        series=_per_variant(
            table,
            lambda i: _gaps(mean[:, i], trials[:, i]),
            lambda i: (_gaps(bounds[:, i, 0], trials[:, i]), _gaps(bounds[:, i, 1], trials[:, i])),
        ),
    )


def daily_rates(table: DailyCountsTable, reward: Reward, prior: tuple[float, float | None]) -> Chart:
    """Each day by itself; a day's band is as wide as its traffic is thin."""
    trials, successes = table.trials(reward), table.successes(reward)
    alpha, beta = _posterior(trials, successes, prior)
    bounds = quantiles(alpha, beta, _BAND)
    observed = successes / np.maximum(trials, 1)
    return Chart(
        id="daily-rates",
        title=_("Rate per day"),
        note=_("Each day by itself, with 95% bands: swings that all variants share are the days' own."),
        kind="lines",
        unit="percent",
        x_title=_("Date"),
        y_title=_reward_name(reward),
        x=table.days,
        # lines decide the height, not the bands of days with a handful of visitors
        y_max=_with_headroom(float(observed.max(initial=0.0))),
        series=_per_variant(
            table,
            lambda i: _gaps(observed[:, i], trials[:, i]),
            lambda i: (_gaps(bounds[:, i, 0], trials[:, i]), _gaps(bounds[:, i, 1], trials[:, i])),
        ),
    )


def daily_counts(table: DailyCountsTable) -> list[Chart]:
    """Impressions, clicks and conversions per day."""
    kinds = (
        ("impressions", _("Impressions per day"), _("Impressions"), table.impressions),
        ("clicks", _("Clicks per day"), _("Clicks"), table.clicks),
        ("conversions", _("Conversions per day"), _("Conversions"), table.conversions),
    )
    return [
        Chart(
            id=f"daily-{name}",
            title=title,
            kind="lines",
            unit="count",
            x_title=_("Date"),
            y_title=y_title,
            x=table.days,
            series=_count_series(table, counts),
        )
        for name, title, y_title, counts in kinds
        if counts.any()
    ]


def rate_comparison(
    variants: Sequence[Variant], statistics: Sequence[VariantStatistics], reward: Reward
) -> Chart:
    """Today's posterior rates with 95% intervals; one bar a variant, in its own colour."""
    colours = variant_colours(variants)
    names = [variant.name for variant in variants]
    return Chart(
        id="rate-comparison",
        title=_("Rates compared"),
        note=_("What the decision believes: day-adjusted rates of the window with 95% credible intervals."),
        kind="bars",
        unit="percent",
        x_title=_("Variant"),
        y_title=_reward_name(reward),
        x=names,
        series=[
            Series(
                variant.name,
                colours[variant.pk],
                _only(i, len(names), row.rate),
                _only(i, len(names), row.rate_low),
                _only(i, len(names), row.rate_high),
            )
            for i, (variant, row) in enumerate(zip(variants, statistics, strict=True))
        ],
    )


def shares_over_time(variants: Sequence[Variant], history: Sequence[Allocation]) -> Chart:
    """The split that was in force, oldest first; ``history`` newest first, one entry a date."""
    return Chart(
        id="shares",
        title=_("Traffic split over time"),
        note=_("The share of traffic each variant got, by the decision for each date."),
        kind="area",
        unit="percent",
        x_title=_("Date"),
        y_title=_("Share of traffic"),
        x=[allocation.target_date for allocation in reversed(history)],
        y_max=1,
        tall=True,
        series=_share_series(variants, history, lambda share: float(share.share), absent=0.0),
    )


def wanted_and_applied(variants: Sequence[Variant], history: Sequence[Allocation]) -> Chart:
    """Targets before the limits beside the shares after them."""
    applied = _share_series(variants, history, lambda share: float(share.share))
    wanted = _share_series(variants, history, lambda share: share.target)
    return Chart(
        id="wanted",
        title=_("Wanted and applied"),
        note=_(
            "Solid: the share applied. Dashed: what the evidence asked for before floors and the daily cap."
        ),
        kind="steps",
        unit="percent",
        x_title=_("Date"),
        y_title=_("Share of traffic"),
        x=[allocation.target_date for allocation in reversed(history)],
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


def chances_over_time(variants: Sequence[Variant], history: Sequence[Allocation]) -> Chart:
    return Chart(
        id="chances",
        title=_("Chance of being the best"),
        note=_("As each day's decision saw it. At 95% a leader is named."),
        kind="lines",
        unit="percent",
        x_title=_("Date"),
        y_title=_("Probability best"),
        x=[allocation.target_date for allocation in reversed(history)],
        y_max=1,
        tall=True,
        marks=[Mark("y", _CONVERGED, "95%")],
        series=_share_series(variants, history, lambda share: share.probability_best),
    )


def value_remaining(history: Sequence[Allocation]) -> Chart:
    """How much better another variant may still be, by the day's decision."""
    return Chart(
        id="value-remaining",
        title=_("Value remaining"),
        note=_(
            "With 95% probability no variant is better than the leader by more than this. Below 1% the test is decided."
        ),
        kind="lines",
        unit="percent",
        x_title=_("Date"),
        y_title=_("Still to gain"),
        x=[allocation.target_date for allocation in reversed(history)],
        # the first days may leave a thousandfold open, which would flatten all that follows
        y_max=1 if any((a.value_remaining or 0) > 1 for a in history) else None,
        marks=[Mark("y", 0.01, "1%")],
        series=[
            Series(
                _("Value remaining"),
                "variant-1",
                [a.value_remaining if a.kind == "optimized" else None for a in reversed(history)],
            )
        ],
    )


def posterior_densities(
    variants: Sequence[Variant], shares: Sequence[AllocationShare], reward: Reward
) -> Chart:
    """What is believed of each rate: Beta densities of the decision in force, each with area 1."""
    known = [share for share in shares if share.posterior_alpha and share.posterior_beta]
    alpha = np.array([share.posterior_alpha for share in known], dtype=np.float64)
    beta = np.array([share.posterior_beta for share in known], dtype=np.float64)
    x = _density_range(alpha, beta)
    colours = variant_colours(variants)
    return Chart(
        id="posteriors",
        title=_("What is known of each rate"),
        note=_(
            "Each curve shows which rates are plausible, and how plausible. The narrower, the more is known."
        ),
        kind="lines",
        unit="number",
        x_title=_("%(rate)s, in percent") % {"rate": _reward_name(reward)},
        y_title=_("Density, per percentage point"),
        x=[float(f"{100 * value:.5g}") for value in x],
        tall=True,
        series=[
            Series(share.variant.name, colours[share.variant_id], _density(x, a, b).tolist())
            for share, a, b in zip(known, alpha, beta, strict=True)
        ],
    )


def cumulative_rewards(by_day: Sequence[DailyRewards], reward: Reward) -> list[Chart]:
    """What the split has cost against always serving the leader, and brought over an even one."""
    unit = str(reward.successes_count.label)
    days = [row.date for row in by_day]
    given_up = Series(_("Given up"), "variant-6", [row.given_up for row in by_day])
    gained = Series(_("Gained"), "variant-3", [row.gained_over_even for row in by_day])
    common: dict[str, Any] = {
        "kind": "lines",
        "unit": "count",
        "x_title": _("Date"),
        "y_title": unit,
        "x": days,
        "y_min": None,
    }
    return [
        Chart(
            id="gained",
            title=_("Gained over an even split"),
            note=_("Expected rewards beyond what equal shares would have brought, added up."),
            series=[gained],
            **common,
        ),
        Chart(
            id="given-up",
            title=_("Regret"),
            note=_("Rewards given up against always serving the leader, added up: the price of finding out."),
            series=[given_up],
            **common,
        ),
    ]


def convergence(found: Convergence, leader: Variant, colour: str) -> Chart:
    """The leader's share and chance over time, and the day it first passed 95%."""
    shares = {row.date: row.share for row in found.leader_share}
    chances = {row.date: row.probability_best for row in found.leader_probability_best}
    days = sorted({*shares, *chances})
    passed = found.first_passed_95_percent
    mark = Mark("x", passed.isoformat(), _("passed 95%")) if passed else None
    return Chart(
        id="convergence",
        title=_("Convergence on %(leader)s") % {"leader": leader.name},
        note=_("The leading variant's share of traffic, and its chance of being the best."),
        kind="lines",
        unit="percent",
        x_title=_("Date"),
        y_title="",
        x=days,
        y_max=1,
        marks=[mark] if mark else [],
        series=[
            Series(_("Share of traffic"), colour, [shares.get(day) for day in days]),
            Series(_("Probability best"), colour, [chances.get(day) for day in days], dashed=True),
        ],
    )


def _per_variant(
    table: DailyCountsTable,
    values: Callable[[int], list[float | None]],
    bounds: Callable[[int], tuple[list[float | None], list[float | None]]] | None = None,
) -> list[Series]:
    colours = variant_colours(table.variants)
    return [
        Series(variant.name, colours[variant.pk], values(i), *(bounds(i) if bounds else ()))
        for i, variant in enumerate(table.variants)
    ]


def _count_series(table: DailyCountsTable, counts: Floats) -> list[Series]:
    return _per_variant(table, lambda i: _gaps(counts[:, i], table.impressions[:, i]))


def _share_series(
    variants: Sequence[Variant],
    history: Sequence[Allocation],
    value: Callable[[AllocationShare], float | None],
    absent: float | None = None,
) -> list[Series]:
    """One series a variant over the dates, oldest first; ``absent`` where a decision had no share for it."""
    colours = variant_colours(variants)
    by_date = [
        {share.variant_id: value(share) for share in allocation.shares.all()}
        for allocation in reversed(history)
    ]
    return [
        Series(variant.name, colours[variant.pk], [shares.get(variant.pk, absent) for shares in by_date])
        for variant in variants
    ]


def _with_headroom(highest: float) -> float | None:
    """The next round number above a fifth more; None where all is 0."""
    if highest <= 0:
        return None
    step = 10.0 ** np.floor(np.log10(1.2 * highest)) / 2
    return float(min(np.ceil(1.2 * highest / step) * step, 1.0))


def _gaps(values: Floats, trials: Floats) -> list[float | None]:
    """None where a variant had no trials: nothing is known there."""
    return [float(value) if n > 0 else None for value, n in zip(values, trials, strict=True)]


def _only(index: int, length: int, value: float) -> list[float | None]:
    return [value if place == index else None for place in range(length)]


def _density_range(alpha: Floats, beta: Floats) -> Floats:
    if not alpha.size:
        return np.zeros(0)
    ends = quantiles(alpha, beta, _DENSITY_ENDS)
    return np.linspace(max(float(ends.min()), 1e-9), min(float(ends.max()), 1 - 1e-9), _DENSITY_POINTS)


def _density(x: Floats, alpha: float, beta: float) -> Floats:
    """Normalised on the grid itself, per percentage point; numpy has no gamma function."""
    log = (alpha - 1) * np.log(x) + (beta - 1) * np.log1p(-x)
    height = np.exp(log - log.max())
    density: Floats = height / np.trapezoid(height, 100 * x)
    return density


def _reward_name(reward: Reward) -> str:
    return str(reward.label)
