"""The history tab: what happened, by whom, newest first."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.access import requires
from dashboard.experiment.history.entries import Entry, Topic
from dashboard.experiment.history.others import (
    entries_of_days,
    entries_of_guard_alarms,
)
from dashboard.experiment.history.records import entries_of_records
from dashboard.experiment.summary import experiment_or_404
from dashboard.experiment.tabs import tab_context
from experiments.models import Experiment
from experiments.roles import Role
from experiments.selectors import today

_PER_PAGE = 50


@require_safe
@requires(Role.VIEWER)
def history(request: HttpRequest, reference: str) -> HttpResponse:
    """Show a page of entries; ``?about=`` keeps those of one topic."""
    date = today()
    experiment = experiment_or_404(reference, date)
    about = request.GET.get("about", "")
    about = about if about in Topic.values else ""
    entries = [entry for entry in entries_of(experiment) if about in ("", entry.topic)]
    page = Paginator(entries, _PER_PAGE).get_page(request.GET.get("page"))
    context = tab_context(experiment, "history", date)
    context |= {"page": page, "entries": list(page), "topics": Topic.choices, "about": about}
    return render(request, "dashboard/experiment/history.html", context)


def entries_of(experiment: Experiment) -> list[Entry]:
    """Collect everything that happened, newest first; five queries."""
    found = [
        *entries_of_records(experiment),
        *entries_of_days(experiment),
        *entries_of_guard_alarms(experiment),
    ]
    return sorted(found, key=lambda entry: entry.at, reverse=True)
