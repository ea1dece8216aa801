"""Tabs of one experiment, each a page of its own."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from allocation.exceptions import NoActiveVariantError
from allocation.models import CLOSING, Allocation
from allocation.sample_ratio import SampleRatioResult, sample_ratio_of
from allocation.selectors import allocation_history, last_computed_allocations
from allocation.statistics.csv_file import statistics_download
from allocation.statistics.experiment import Statistics, VariantStatistics, statistics_of
from dashboard.access import View, requires
from dashboard.charts import split_bar, variant_colours
from dashboard.experiment import charts
from dashboard.experiment.activity import changes_of
from dashboard.experiment.advice import advice, explain
from dashboard.experiment.notes import notes_of, with_notes
from dashboard.experiment.other_metrics import other_metrics
from dashboard.experiment.rates import DailyCountsTable, daily_table
from dashboard.experiment.summary import Summary, experiment_or_404, summarise_head
from experiments.campaign.models import REASON_LENGTH
from experiments.exceptions import InvalidError
from experiments.metrics import COUNTS, MEASURE_NAMES, VALUES, Measure, Measures, Reward
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


# What a tab shows below the head that all have in common.
Build = Callable[[Experiment, dt.date, Summary], dict[str, Any]]


def _tab(build: Build) -> View:
    """Make a page of its own from what one tab shows, in the template of its name."""

    @require_safe
    @requires(Role.VIEWER)
    @wraps(build)
    def view(request: HttpRequest, reference: str) -> HttpResponse:
        date = today()
        experiment = experiment_or_404(reference, date)
        context = tab_context(experiment, build.__name__, date)
        context |= build(experiment, date, context["summary"])
        return render(request, f"dashboard/experiment/{build.__name__}.html", context)

    return view


@_tab
def overview(experiment: Experiment, date: dt.date, summary: Summary) -> dict[str, Any]:
    ratio = sample_ratio_of(experiment, date)
    return {
        "explained": explain(experiment, summary.allocation),
        "sample_ratio": _sample_ratio(experiment, ratio),
        "advice": advice(summary, is_mismatched=bool(ratio and ratio.mismatch)),
    }


@_tab
def performance(experiment: Experiment, date: dt.date, summary: Summary) -> dict[str, Any]:
    variants, reward = list(experiment.variants.all()), Reward(experiment.reward)
    table, statistics = _daily_table(experiment, variants, date), _statistics(experiment, date)
    settings = experiment.merged_settings()
    prior = float(settings["alpha_prior"]), settings["beta_prior"]
    changes = statistics.changes_of_rates if statistics else []
    is_complete = statistics and len(statistics.variants) == len(variants)
    notes = notes_of(experiment)
    return {
        "statistics": statistics,
        "counts": _shown_measures(reward),
        "numbers": _numbers(variants, table, reward, statistics),
        "other_metrics": other_metrics(experiment, statistics),
        "is_compared": statistics is not None and statistics.control_is_judged,
        "comparison": charts.rate_comparison(variants, statistics.variants, experiment)
        if statistics and is_complete
        else None,
        "charts": with_notes(
            [
                charts.cumulative_rates(table, experiment, prior, changes),
                charts.daily_rates(table, experiment, prior, changes),
            ],
            notes,
        ),
        "count_charts": with_notes(charts.daily_counts(table), notes),
        "notes": notes,
    }


@require_safe
@requires(Role.VIEWER)
def statistics_csv(request: HttpRequest, reference: str) -> HttpResponse:
    """Answer with the numbers of the performance tab as a file."""
    experiment = experiment_or_404(reference, today())
    if (statistics := _statistics(experiment, today())) is None:
        raise Http404("There are no statistics yet.")
    return statistics_download(experiment.key, statistics)


@_tab
def allocation(experiment: Experiment, date: dt.date, summary: Summary) -> dict[str, Any]:
    variants, history = list(experiment.variants.all()), _history(experiment, date)
    colours = variant_colours(variants)
    ledger = Allocation.objects.filter(experiment=experiment).with_shares()
    return {
        "charts": with_notes(
            [charts.shares_over_time(variants, history), charts.wanted_and_applied(variants, history)],
            notes_of(experiment),
        ),
        "ledger": [(entry, split_bar(entry.shares.all(), colours)) for entry in ledger[:30]],
    }


@_tab
def regret(experiment: Experiment, date: dt.date, summary: Summary) -> dict[str, Any]:
    statistics = _statistics(experiment, date)
    if statistics is None:
        return {"statistics": None}
    variants = list(experiment.variants.all())
    leader = next(variant for variant in variants if variant.key == statistics.leader)
    colour = variant_colours(variants)[leader.pk]
    return {
        "statistics": statistics,
        "charts": with_notes(
            [
                *charts.cumulative_rewards(
                    statistics.rewards.by_day, experiment, statistics.changes_of_rates
                ),
                charts.convergence(statistics.convergence, leader, colour),
            ],
            notes_of(experiment),
        ),
    }


@_tab
def confidence(experiment: Experiment, date: dt.date, summary: Summary) -> dict[str, Any]:
    variants, history = list(experiment.variants.all()), _history(experiment, date)
    in_force, colours = _last_computed(experiment, summary.allocation, date), variant_colours(variants)
    shares = list(in_force.shares.all()) if in_force else []
    return {
        "decision": in_force,
        "shares": [(share, colours[share.variant_id]) for share in shares],
        "charts": with_notes(
            [
                charts.posterior_densities(variants, shares, experiment),
                charts.chances_over_time(variants, history),
                charts.value_remaining(history),
            ],
            notes_of(experiment),
        ),
    }


@_tab
def activity(experiment: Experiment, date: dt.date, summary: Summary) -> dict[str, Any]:
    return {"changes": changes_of(experiment)}


def tab_context(experiment: Experiment, tab: str, date: dt.date) -> dict[str, Any]:
    """Collect what the head of every tab shows."""
    active = [variant for variant in experiment.variants.all() if variant.is_active]
    summary = summarise_head(experiment, date)
    return {
        "section": "experiments",
        "experiment": experiment,
        "summary": summary,
        "tabs": [(name, label, name == tab) for name, label in _TABS],
        "can_start": experiment.status == Status.DRAFT and not experiment.archived_at,
        "can_pause": experiment.status == Status.ACTIVE,
        "can_resume": experiment.status == Status.PAUSED and not experiment.archived_at,
        "can_complete": experiment.status in {Status.ACTIVE, Status.PAUSED} and not experiment.archived_at,
        "can_resume_after_guard": summary.is_stopped,
        "active_variants": active,
        "reason_length": REASON_LENGTH,
    }


def _statistics(experiment: Experiment, date: dt.date) -> Statistics | None:
    """Compute the statistics; None where there are none yet: no variants, or settings that clash."""
    try:
        return statistics_of(experiment, date)
    except (NoActiveVariantError, InvalidError):
        return None


def _last_computed(experiment: Experiment, in_force: Allocation | None, date: dt.date) -> Allocation | None:
    """The decision in force; for a completed experiment the last one that rested on its data."""
    if in_force is None or in_force.kind not in CLOSING:
        return in_force
    return last_computed_allocations([experiment], date).get(experiment.pk)


def _history(experiment: Experiment, date: dt.date) -> list[Allocation]:
    return allocation_history(experiment, end=date, dates=_HISTORY_DATES)


def _daily_table(experiment: Experiment, variants: list[Variant], date: dt.date) -> DailyCountsTable:
    rows = DailyMetric.objects.filter(variant__in=variants, date__lte=date).values_list(
        "date", "variant_id", *MEASURE_NAMES
    )
    return daily_table(variants, [(day, pk, Measures(*numbers)) for day, pk, *numbers in rows])


def _shown_measures(reward: Reward) -> tuple[Measure, ...]:
    """List the numbers of a table of totals; the squares of values say nothing to a reader."""
    return (*COUNTS, VALUES[0]) if reward.is_value else COUNTS


@dataclass(frozen=True)
class VariantTotals:
    """One variant over the whole history; ``compared``: its rate beside the control's, where that is known."""

    variant: Variant
    colour: str
    labelled: list[tuple[Measure, float]]
    rate: float | None
    compared: VariantStatistics | None


def _numbers(
    variants: list[Variant], table: DailyCountsTable, reward: Reward, statistics: Statistics | None
) -> list[VariantTotals]:
    compared = {row.variant_key: row for row in statistics.variants} if statistics else {}
    totals = np.array([values.sum(axis=0) for values in table.measures])
    colours = variant_colours(variants)
    found = []
    for place, variant in enumerate(variants):
        own = Measures(*totals[:, place].tolist())
        labelled = [(measure, getattr(own, measure.name)) for measure in _shown_measures(reward)]
        rate = reward.successes(own) / trials if (trials := reward.trials(own)) else None
        found.append(VariantTotals(variant, colours[variant.pk], labelled, rate, compared.get(variant.key)))
    return found


@dataclass(frozen=True)
class RatioTable:
    """Observed and expected impressions of each variant, with its colour, side by side."""

    p_value: float
    mismatch: bool
    rows: list[tuple[Variant, str, float, float]]


def _sample_ratio(experiment: Experiment, found: SampleRatioResult | None) -> RatioTable | None:
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
    return RatioTable(found.p_value, found.mismatch, rows)
