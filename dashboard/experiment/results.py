"""The results tab: what came of the experiment, and what to do next."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from allocation.exceptions import NoActiveVariantError
from allocation.sample_ratio import SampleRatioResult, sample_ratio_of
from allocation.statistics.csv_file import statistics_download
from allocation.statistics.experiment import Statistics, statistics_of
from dashboard.access import requires
from dashboard.charts import variant_colours
from dashboard.experiment.advice import advice, explain
from dashboard.experiment.summary import Summary, experiment_or_404
from dashboard.experiment.tabs import tab
from experiments.exceptions import InvalidError
from experiments.models import Experiment, Variant
from experiments.roles import Role
from experiments.selectors import today


@tab
def results(experiment: Experiment, date: dt.date, summary: Summary) -> dict[str, Any]:
    ratio = sample_ratio_of(experiment, date)
    return {
        "explained": explain(experiment, summary.allocation),
        "sample_ratio": _sample_ratio(experiment, ratio),
        "statistics": statistics_or_none(experiment, date),
        "advice": advice(summary, is_mismatched=bool(ratio and ratio.mismatch)),
    }


@require_safe
@requires(Role.VIEWER)
def statistics_csv(request: HttpRequest, reference: str) -> HttpResponse:
    """Answer with the numbers of this tab as a file."""
    experiment = experiment_or_404(reference, today())
    if (statistics := statistics_or_none(experiment, today())) is None:
        raise Http404("There are no statistics yet.")
    return statistics_download(experiment.key, statistics)


def statistics_or_none(experiment: Experiment, date: dt.date) -> Statistics | None:
    """Compute the statistics; None where there are none yet: no variants, or settings that clash."""
    try:
        return statistics_of(experiment, date)
    except (NoActiveVariantError, InvalidError):
        return None


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
