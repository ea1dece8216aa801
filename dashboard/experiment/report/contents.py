"""Contents of a report: the numbers of the results page, the settings that they rest on, and doubts about them."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from allocation.selectors import allocation_with_inputs
from allocation.statistics.results import Results
from dashboard.experiment.lines import lines_of
from dashboard.experiment.markers import marked, markers_of
from dashboard.experiment.notes import notes_of
from dashboard.experiment.results.charts import cumulative_gain, traffic_over_time
from dashboard.experiment.results.health import health_of
from dashboard.experiment.results.leaderboard import leaderboard_of
from dashboard.experiment.results.page import named, results_or_none
from dashboard.experiment.results.verdict import verdict_of
from dashboard.experiment.summary import Summary, summarise_head
from dashboard.settings.campaign import schedule_in_words
from dashboard.settings.labels import values_in_force
from experiments.campaign.models import Note
from experiments.models import Experiment


def report_of(experiment: Experiment, date: dt.date) -> dict[str, Any]:
    """Collect the report of an experiment from experiment_or_404."""
    allocation = allocation_with_inputs(experiment, date)
    summary = summarise_head(experiment, date, allocation)
    found = results_or_none(experiment, date, summary.allocation)
    notes = notes_of(experiment)
    return {
        "experiment": experiment,
        "summary": summary,
        "results": found,
        "verdict": verdict_of(experiment, summary, found),
        "settings": values_in_force(experiment),
        "schedule": schedule_in_words(experiment),
        "notes": notes,
        "caveats": _caveats(summary, found),
        **(_of_data(experiment, found, notes) if found and found.days.count else {}),
    }


def _of_data(experiment: Experiment, found: Results, notes: Sequence[Note]) -> dict[str, Any]:
    statistics = found.analysis.statistics
    markers = markers_of(experiment, statistics, notes)
    shares = {s.variant_id: float(s.share) for s in found.allocation.shares.all()} if found.allocation else {}
    lines = lines_of(found.analysis, list(experiment.variants.all()), shares)
    charts = [traffic_over_time(found.analysis, lines), cumulative_gain(found.analysis, experiment)]
    return {
        "statistics": statistics,
        "leaderboard": leaderboard_of(experiment, found),
        "charts": [named(marked(chart, markers), experiment) for chart in charts],
    }


def _caveats(summary: Summary, found: Results | None) -> list[str]:
    """List what speaks against the numbers, then what always holds."""
    doubts = [check.text for check in health_of(summary, found) if not check.ok] if found else []
    return [
        *(f"{text}." for text in doubts),
        _("Intervals are 95% credible intervals of this moment. They move while data comes in."),
        _(
            "An impression is a visitor's first, or at most one a day. Repeated views make intervals too narrow."
        ),
        _("Traffic moves toward better variants, so variants have different numbers of impressions."),
    ]
