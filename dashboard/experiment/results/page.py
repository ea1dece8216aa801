"""The results tab: what came of the experiment, and what to do next."""

import datetime as dt
from dataclasses import replace
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from allocation.exceptions import NoActiveVariantError
from allocation.models import Allocation
from allocation.selectors import allocation_with_inputs
from allocation.statistics.csv_file import statistics_download
from allocation.statistics.experiment import statistics_of
from allocation.statistics.results import Results, results_of
from dashboard.access import requires
from dashboard.charts import Chart
from dashboard.experiment.ending import ending_of
from dashboard.experiment.lines import lines_of
from dashboard.experiment.markers import marked, markers_of
from dashboard.experiment.results.charts import cumulative_gain, traffic_over_time
from dashboard.experiment.results.health import health_of
from dashboard.experiment.results.leaderboard import leaderboard_of
from dashboard.experiment.results.verdict import verdict_of
from dashboard.experiment.summary import Summary, experiment_or_404
from dashboard.experiment.tabs import tab_context
from experiments.exceptions import InvalidError
from experiments.models import Experiment
from experiments.roles import Role
from experiments.selectors import today

ALL_ALIKE = "all"


@require_safe
@requires(Role.VIEWER, may_lag=True)
def results(request: HttpRequest, reference: str) -> HttpResponse:
    """Show the results; ``?range=all`` counts every day alike."""
    date = today()
    experiment = experiment_or_404(reference, date)
    context = tab_context(experiment, "results", date, allocation_with_inputs(experiment, date))
    summary, all_alike = context["summary"], request.GET.get("range") == ALL_ALIKE
    found = results_or_none(experiment, date, summary.allocation, all_days_alike=all_alike)
    if found is not None and found.is_mismatched:
        summary = replace(summary, is_mismatched=True)
        context |= {"summary": summary, "ending": ending_of(experiment, summary)}
    context |= {
        "results": found,
        "verdict": (verdict := verdict_of(experiment, summary, found)),
        # the verdict's button is not repeated above it
        "next_step": verdict.action.post if verdict.action else "",
        "all_alike": all_alike,
        **(_of_data(experiment, summary, found) if found and found.days.count else {}),
    }
    return render(request, "dashboard/experiment/results.html", context)


def _of_data(experiment: Experiment, summary: Summary, found: Results) -> dict[str, Any]:
    statistics, markers = found.analysis.statistics, markers_of(experiment, found.analysis.statistics)
    shares = {s.variant_id: float(s.share) for s in found.allocation.shares.all()} if found.allocation else {}
    lines = lines_of(found.analysis, list(experiment.variants.all()), shares)
    charts = [traffic_over_time(found.analysis, lines), cumulative_gain(found.analysis, experiment)]
    return {
        "statistics": statistics,
        "leaderboard": leaderboard_of(experiment, found),
        "health": health_of(summary, found),
        "charts": [named(marked(chart, markers), experiment) for chart in charts],
    }


def named(chart: Chart, experiment: Experiment) -> Chart:
    """Give the files of a chart a name of their own."""
    return replace(chart, file=f"{experiment.key}-{chart.id}")


@require_safe
@requires(Role.VIEWER, may_lag=True)
def statistics_csv(request: HttpRequest, reference: str) -> HttpResponse:
    """Answer with the numbers of this tab as a file."""
    experiment = experiment_or_404(reference, today())
    try:
        found = statistics_of(experiment, today(), with_secondary=False)
        return statistics_download(experiment.key, found)
    except (NoActiveVariantError, InvalidError) as error:
        raise Http404("There are no statistics yet.") from error


def results_or_none(
    experiment: Experiment, date: dt.date, allocation: Allocation | None, *, all_days_alike: bool = False
) -> Results | None:
    """Compute the results; None where there are none yet: no variants, or settings that clash."""
    try:
        return results_of(experiment, date, allocation, all_days_alike=all_days_alike)
    except (NoActiveVariantError, InvalidError):
        return None
