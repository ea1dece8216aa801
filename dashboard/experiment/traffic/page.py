"""The traffic tab: how traffic is split, why, and every decision so far."""

import datetime as dt
from collections.abc import Sequence

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from allocation.ledger.table import DailyTable
from allocation.models import Allocation, AllocationQuerySet
from allocation.sample_ratio import SampleRatioResult, compare, daily_counts_until
from allocation.selectors import Split, splits_until
from allocation.statistics.decision_log import decision_log_download
from dashboard.access import requires
from dashboard.charts import split_bar, variant_colours
from dashboard.experiment.lines import lines_by_weight
from dashboard.experiment.markers import marked, markers_of_changes
from dashboard.experiment.results.page import named
from dashboard.experiment.summary import Summary, experiment_or_404
from dashboard.experiment.tabs import tab_context
from dashboard.experiment.traffic.charts import shares_over_time, target_and_actual
from dashboard.experiment.traffic.explain import explain, ratio_table
from experiments.models import Experiment, Variant
from experiments.roles import Role
from experiments.selectors import today

# About a year of decisions; older ones are in the log.
_HISTORY_DATES = 366
_PAGE_SIZE = 20


@require_safe
@requires(Role.VIEWER, may_lag=True)
def traffic(request: HttpRequest, reference: str) -> HttpResponse:
    """Show the allocation in force and the decision log, 20 decisions a page (``?page=``)."""
    date = today()
    experiment = experiment_or_404(reference, date)
    context = tab_context(experiment, "traffic", date)
    summary: Summary = context["summary"]
    variants = list(experiment.variants.all())
    splits = splits_until([experiment.pk], date)[experiment.pk]
    colours = variant_colours(variants)
    page = _log_page(experiment, len(splits), request.GET.get("page"))
    days = list({split.target_date: split for split in splits}.values())[-_HISTORY_DATES:]
    lines = lines_by_weight(variants, days[-1].shares if days else {})
    markers = markers_of_changes(experiment)
    context |= {
        "explained": explain(experiment, summary.allocation),
        "ratio": ratio_table(variants, _ratio(experiment, variants, splits, date)),
        "charts": [
            named(marked(chart, markers), experiment)
            for chart in (shares_over_time(lines, days), target_and_actual(lines, days))
        ],
        "page": page,
        "log": [(entry, split_bar(entry.shares.all(), colours)) for entry in page],
    }
    return render(request, "dashboard/experiment/traffic.html", context)


class _Log(Paginator[Allocation]):
    """Pages of decisions, the number of which is known."""

    def __init__(self, log: AllocationQuerySet, known: int) -> None:
        super().__init__(log, _PAGE_SIZE)
        self.count = known


def _log_page(experiment: Experiment, decisions: int, number: str | None) -> Page[Allocation]:
    return _Log(Allocation.objects.filter(experiment=experiment).with_shares(), decisions).get_page(number)


def _ratio(
    experiment: Experiment, variants: Sequence[Variant], splits: Sequence[Split], date: dt.date
) -> SampleRatioResult | None:
    rows = daily_counts_until([experiment.pk], date)[experiment.pk]
    table = DailyTable.of_rows(rows, {variant.pk: n for n, variant in enumerate(variants)})
    return compare(variants, splits, table)


@require_safe
@requires(Role.VIEWER, may_lag=True)
def decision_log_csv(request: HttpRequest, reference: str) -> StreamingHttpResponse:
    """Answer with every decision as a file."""
    return decision_log_download(experiment_or_404(reference, today()))
