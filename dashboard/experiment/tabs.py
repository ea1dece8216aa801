"""One experiment: its tabs, each a page of its own."""

import datetime as dt
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from allocation.exceptions import NoActiveVariantError
from allocation.models import Allocation, Kind
from allocation.sample_ratio import SampleRatioResult, sample_ratio_of
from allocation.selectors import allocation_history, last_computed_allocations
from allocation.statistics import Statistics, statistics_of
from dashboard.access import requires
from dashboard.charts import split_bar, variant_colours
from dashboard.experiment import charts
from dashboard.experiment.activity import changes_of
from dashboard.experiment.advice import advice, explain
from dashboard.experiment.summary import experiment_or_404, summarise_head
from experiments.exceptions import InvalidError
from experiments.metrics import Reward
from experiments.models import DailyMetric, Experiment, Status, Variant
from experiments.roles import Role
from experiments.selectors import today

# About a year of decisions; older ones are in the ledger of the API.
_HISTORY_DATES = 366

_TABS = (
    ("overview", _("Overview")),
    ("performance", _("Performance")),
    ("allocation", _("Allocation")),
    ("regret", _("Regret")),
    ("confidence", _("Confidence")),
    ("data", _("Data")),
    ("settings", _("Settings")),
    ("activity", _("Activity")),
)


@require_safe
@requires(Role.VIEWER)
def overview(request: HttpRequest, reference: str) -> HttpResponse:
    date = today()
    experiment = experiment_or_404(reference, date)
    context = tab_context(experiment, "overview", date)
    summary, ratio = context["summary"], sample_ratio_of(experiment, date)
    context |= {
        "explained": explain(experiment, summary.allocation),
        "sample_ratio": _sample_ratio(experiment, ratio),
        "advice": advice(summary, is_mismatched=bool(ratio and ratio.mismatch)),
    }
    return render(request, "dashboard/experiment/overview.html", context)


@require_safe
@requires(Role.VIEWER)
def performance(request: HttpRequest, reference: str) -> HttpResponse:
    date = today()
    experiment = experiment_or_404(reference, date)
    context = tab_context(experiment, "performance", date)
    variants, reward = list(experiment.variants.all()), Reward(experiment.reward)
    table = _daily_table(experiment, variants, date)
    settings = experiment.merged_settings()
    prior = float(settings["alpha_prior"]), settings["beta_prior"]
    statistics = _statistics(experiment, date)
    context |= {
        "statistics": statistics,
        "numbers": _numbers(variants, table, reward, statistics),
        "charts": [
            charts.cumulative_rates(table, reward, prior),
            charts.daily_rates(table, reward, prior),
        ],
        "count_charts": charts.daily_counts(table),
    }
    if statistics and len(statistics.variants) == len(variants):
        context["comparison"] = charts.rate_comparison(variants, statistics.variants, reward)
    return render(request, "dashboard/experiment/performance.html", context)


@require_safe
@requires(Role.VIEWER)
def allocation(request: HttpRequest, reference: str) -> HttpResponse:
    date = today()
    experiment = experiment_or_404(reference, date)
    context = tab_context(experiment, "allocation", date)
    variants, history = list(experiment.variants.all()), _history(experiment, date)
    colours = variant_colours(variants)
    ledger = Allocation.objects.filter(experiment=experiment).with_shares()
    context |= {
        "charts": [
            charts.shares_over_time(variants, history),
            charts.wanted_and_applied(variants, history),
        ],
        "ledger": [(entry, split_bar(entry.shares.all(), colours)) for entry in ledger[:30]],
    }
    return render(request, "dashboard/experiment/allocation.html", context)


@require_safe
@requires(Role.VIEWER)
def regret(request: HttpRequest, reference: str) -> HttpResponse:
    date = today()
    experiment = experiment_or_404(reference, date)
    context = tab_context(experiment, "regret", date)
    statistics = _statistics(experiment, date)
    context["statistics"] = statistics
    if statistics:
        variants = list(experiment.variants.all())
        leader = next(variant for variant in variants if variant.key == statistics.leader)
        colour = variant_colours(variants)[leader.pk]
        context["charts"] = [
            *charts.cumulative_rewards(statistics.rewards.by_day, Reward(experiment.reward)),
            charts.convergence(statistics.convergence, leader, colour),
        ]
    return render(request, "dashboard/experiment/regret.html", context)


@require_safe
@requires(Role.VIEWER)
def confidence(request: HttpRequest, reference: str) -> HttpResponse:
    date = today()
    experiment = experiment_or_404(reference, date)
    context = tab_context(experiment, "confidence", date)
    variants, history = list(experiment.variants.all()), _history(experiment, date)
    in_force, colours = _last_computed(experiment, context["summary"].allocation, date), variant_colours(variants)
    shares = list(in_force.shares.all()) if in_force else []
    context |= {
        "decision": in_force,
        "shares": [(share, colours[share.variant_id]) for share in shares],
        "charts": [
            charts.posterior_densities(variants, shares, Reward(experiment.reward)),
            charts.chances_over_time(variants, history),
            charts.value_remaining(history),
        ],
    }
    return render(request, "dashboard/experiment/confidence.html", context)


@require_safe
@requires(Role.VIEWER)
def activity(request: HttpRequest, reference: str) -> HttpResponse:
    date = today()
    experiment = experiment_or_404(reference, date)
    context = tab_context(experiment, "activity", date)
    context["changes"] = changes_of(experiment)
    return render(request, "dashboard/experiment/activity.html", context)


def tab_context(experiment: Experiment, tab: str, date: dt.date) -> dict[str, Any]:
    """What the header of every tab shows."""
    active = [variant for variant in experiment.variants.all() if variant.is_active]
    return {
        "section": "experiments",
        "experiment": experiment,
        "summary": summarise_head(experiment, date),
        "tabs": [(name, label, name == tab) for name, label in _TABS],
        "can_start": experiment.status == Status.DRAFT and not experiment.archived_at,
        "can_pause": experiment.status == Status.ACTIVE,
        "can_resume": experiment.status == Status.PAUSED and not experiment.archived_at,
        "can_complete": experiment.status in {Status.ACTIVE, Status.PAUSED} and not experiment.archived_at,
        "active_variants": active,
    }


def _statistics(experiment: Experiment, date: dt.date) -> Statistics | None:
    """None where there is nothing to say yet: no variants, or settings that clash."""
    try:
        return statistics_of(experiment, date)
    except (NoActiveVariantError, InvalidError):
        return None


def _last_computed(
    experiment: Experiment, in_force: Allocation | None, date: dt.date
) -> Allocation | None:
    """The decision in force; for a completed experiment the last one that rested on its data."""
    if in_force is None or in_force.kind != Kind.COMPLETED:
        return in_force
    return last_computed_allocations([experiment], date).get(experiment.pk)


def _history(experiment: Experiment, date: dt.date) -> list[Allocation]:
    return allocation_history(experiment, end=date, dates=_HISTORY_DATES)


def _daily_table(experiment: Experiment, variants: list[Variant], date: dt.date) -> charts.DailyCountsTable:
    rows = DailyMetric.objects.filter(variant__in=variants, date__lte=date).values_list(
        "date", "variant_id", "impressions", "clicks", "conversions"
    )
    return charts.daily_table(variants, list(rows))


def _numbers(
    variants: list[Variant],
    table: charts.DailyCountsTable,
    reward: Reward,
    statistics: Statistics | None,
) -> list[dict[str, Any]]:
    """Totals of the whole history, by variant, and how each compares to the control."""
    compared = {row.variant_key: row for row in statistics.variants} if statistics else {}
    trials, successes = table.trials(reward).sum(axis=0), table.successes(reward).sum(axis=0)
    colours = variant_colours(variants)
    return [
        {
            "variant": variant,
            "colour": colours[variant.pk],
            "impressions": int(table.impressions[:, i].sum()),
            "clicks": int(table.clicks[:, i].sum()),
            "conversions": int(table.conversions[:, i].sum()),
            "compared": compared.get(variant.key),
            "rate": successes[i] / trials[i] if trials[i] else None,
        }
        for i, variant in enumerate(variants)
    ]


def _sample_ratio(experiment: Experiment, found: SampleRatioResult | None) -> dict[str, Any] | None:
    """Observed and expected impressions side by side, for the warning."""
    if not found:
        return None
    colours = variant_colours(experiment.variants.all())
    rows = [
        (
            variant,
            colours[variant.pk],
            found.observed.get(variant.key, 0),
            found.expected.get(variant.key, 0),
        )
        for variant in experiment.variants.all()
    ]
    return {"p_value": found.p_value, "mismatch": found.mismatch, "rows": rows}
