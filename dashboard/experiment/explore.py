"""The explore tab: the data behind the result, over time and by metric."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np

from allocation.models import CLOSING, Allocation
from allocation.selectors import allocation_history, last_computed_allocations
from allocation.statistics.experiment import Statistics, VariantStatistics
from dashboard.charts import variant_colours
from dashboard.experiment import charts
from dashboard.experiment.notes import notes_of, with_notes
from dashboard.experiment.other_metrics import other_metrics
from dashboard.experiment.rates import DailyCountsTable, daily_table
from dashboard.experiment.results import statistics_or_none
from dashboard.experiment.summary import Summary
from dashboard.experiment.tabs import tab
from experiments.metrics import COUNTS, MEASURE_NAMES, VALUES, Measure, Measures, Reward
from experiments.models import DailyMetric, Experiment, Variant

# About a year of decisions; older ones are in the decision log of the API.
HISTORY_DATES = 366


@tab
def explore(experiment: Experiment, date: dt.date, summary: Summary) -> dict[str, Any]:
    variants, reward = list(experiment.variants.all()), Reward(experiment.reward)
    table, statistics = _daily_table(experiment, variants, date), statistics_or_none(experiment, date)
    settings = experiment.merged_settings()
    prior = float(settings["alpha_prior"]), settings["beta_prior"]
    changes = statistics.changes_of_rates if statistics else []
    is_complete = statistics and len(statistics.variants) == len(variants)
    notes, history = notes_of(experiment), history_of(experiment, date)
    computed = _last_computed(experiment, summary.allocation, date)
    shares = list(computed.shares.all()) if computed else []
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
                charts.posterior_densities(variants, shares, experiment),
                charts.chances_over_time(variants, history),
                charts.value_remaining(history),
            ],
            notes,
        ),
        "count_charts": with_notes(charts.daily_counts(table), notes),
        "notes": notes,
    }


def _last_computed(experiment: Experiment, in_force: Allocation | None, date: dt.date) -> Allocation | None:
    """The decision in force; for a completed experiment the last one that rested on its data."""
    if in_force is None or in_force.kind not in CLOSING:
        return in_force
    return last_computed_allocations([experiment], date).get(experiment.pk)


def history_of(experiment: Experiment, date: dt.date) -> list[Allocation]:
    return allocation_history(experiment, end=date, dates=HISTORY_DATES)


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
