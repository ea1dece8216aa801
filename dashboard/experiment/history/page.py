"""The history tab: what happened, by whom, newest first; notes are written and deleted here."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from dashboard.access import requires
from dashboard.experiment.actions import on_experiment
from dashboard.experiment.history.entries import Entry, Topic
from dashboard.experiment.history.note_form import NoteForm
from dashboard.experiment.history.others import (
    entries_of_days,
    entries_of_guard_alarms,
)
from dashboard.experiment.history.records import entries_of_records
from dashboard.experiment.summary import experiment_or_404
from dashboard.experiment.tabs import tab_context
from dashboard.posts.post_only import post_only
from experiments.campaign.watch import add_note, delete_note
from experiments.exceptions import InvalidError
from experiments.models import Experiment
from experiments.roles import Role
from experiments.selectors import today

_PER_PAGE = 50
# Older ones of a kind are left out of the page: the file of everything has them.
_MOST = 2000


@require_safe
@requires(Role.VIEWER, may_lag=True)
def history(request: HttpRequest, reference: str) -> HttpResponse:
    """Show a page of entries; ``?about=`` keeps those of one topic."""
    return _page(request, experiment_or_404(reference, today()), NoteForm(initial={"date": today()}))


def _page(request: HttpRequest, experiment: Experiment, form: NoteForm) -> HttpResponse:
    about = request.GET.get("about", "")
    about = about if about in Topic.values else ""
    entries = [entry for entry in entries_of(experiment) if about in ("", entry.topic)]
    page = Paginator(entries, _PER_PAGE).get_page(request.GET.get("page"))
    context = tab_context(experiment, "history", today())
    context |= {"page": page, "entries": list(page), "topics": Topic.choices, "about": about, "form": form}
    return render(request, "dashboard/experiment/history.html", context)


@post_only("dashboard:history", "reference")
@requires(Role.ANALYST)
def write_note(request: HttpRequest, reference: str) -> HttpResponse:
    """Write a note about a day; what is refused is shown beside its field."""
    experiment = experiment_or_404(reference, today())
    form = NoteForm(request.POST)
    if form.is_valid():
        try:
            add_note(experiment_id=experiment.pk, now=timezone.now(), **form.cleaned_data)
        except InvalidError as error:
            form.add_errors(error)
        else:
            messages.success(request, _("Note added. Charts over dates show it."))
            return redirect("dashboard:history", reference=experiment.key)
    return _page(request, experiment, form)


@on_experiment(back="dashboard:history")
def remove_note(request: HttpRequest, experiment: Experiment, note_id: int) -> str:
    delete_note(experiment=experiment, note_id=note_id)
    return _("Note deleted.")


def entries_of(experiment: Experiment, most: int | None = _MOST) -> list[Entry]:
    """Collect everything that happened, newest first, at the ``most`` so many of each kind; five queries."""
    found = [
        *entries_of_records(experiment, most),
        *entries_of_days(experiment, most),
        *entries_of_guard_alarms(experiment, most),
    ]
    return sorted(found, key=lambda entry: entry.at, reverse=True)
