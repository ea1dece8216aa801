"""Pages: read, prepare, render."""

from typing import NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from allocation.models import Allocation
from allocation.selectors import current_allocations
from dashboard.charts import SplitPart, split_bar
from experiments.models import Experiment, Status
from experiments.selectors import today

_BADGES = {
    Status.DRAFT: "bg-secondary-lt",
    Status.ACTIVE: "bg-green-lt",
    Status.PAUSED: "bg-yellow-lt",
    Status.COMPLETED: "bg-blue-lt",
}


class ExperimentRow(NamedTuple):
    experiment: Experiment
    badge: str
    sentence: str
    split: list[SplitPart]


@require_safe
def experiments(request: HttpRequest) -> HttpResponse:
    """All experiments, newest first, with the split in force today."""
    found = list(Experiment.objects.all())
    allocations = current_allocations(found, today())
    rows = [_row(experiment, allocations.get(experiment.pk)) for experiment in found]
    return render(request, "dashboard/experiments.html", {"rows": rows})


def _row(experiment: Experiment, allocation: Allocation | None) -> ExperimentRow:
    sentence = allocation.reason if allocation else "Nothing has been decided yet."
    split = split_bar(allocation.shares.all()) if allocation else []
    return ExperimentRow(experiment, _BADGES[Status(experiment.status)], sentence, split)
