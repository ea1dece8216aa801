"""Pages: read, prepare, render."""

import datetime as dt
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
    decided_for: dt.date | None
    split: list[SplitPart]


@require_safe
def experiments(request: HttpRequest) -> HttpResponse:
    """All experiments, newest first, with the split in force today."""
    found = list(Experiment.objects.all())
    allocations = current_allocations(found, today())
    rows = [_row(experiment, allocations.get(experiment.pk)) for experiment in found]
    return render(request, "dashboard/experiments.html", {"rows": rows})


def _row(experiment: Experiment, allocation: Allocation | None) -> ExperimentRow:
    badge = _BADGES[Status(experiment.status)]
    if allocation is None:
        return ExperimentRow(experiment, badge, "Nothing has been decided yet.", None, [])
    paused = experiment.status == Status.PAUSED
    sentence = "Paused: the last split stays in force." if paused else allocation.reason
    return ExperimentRow(
        experiment, badge, sentence, allocation.target_date, split_bar(allocation.shares.all())
    )
