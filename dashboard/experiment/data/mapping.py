"""The page of the columns that an experiment remembers from its files: to read, and to forget."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from dashboard.access import requires
from dashboard.experiment.actions import on_experiment
from dashboard.experiment.data.upload_forms import column_labels
from dashboard.experiment.summary import experiment_or_404
from dashboard.experiment.tabs import tab_context
from experiments.models import Experiment
from experiments.roles import Role
from experiments.selectors import today
from experiments.tables.mapping import forget_columns, remembered_columns


@require_safe
@requires(Role.VIEWER)
def mapping(request: HttpRequest, reference: str) -> HttpResponse:
    """List each remembered header with its column; those that are needed come first."""
    experiment = experiment_or_404(reference, today())
    labels = dict(column_labels())
    known = sorted(remembered_columns(experiment).items(), key=lambda known: (not known[1], known[0]))
    context = tab_context(experiment, "data", today())
    context["known"] = [(header, labels.get(column, column) or _("Not needed")) for header, column in known]
    return render(request, "dashboard/experiment/mapping.html", context)


@on_experiment(back="dashboard:data")
def forget(request: HttpRequest, experiment: Experiment) -> str:
    forgotten = forget_columns(experiment)
    said = ngettext("%(n)s column is forgotten.", "%(n)s columns are forgotten.", forgotten)
    return (
        said % {"n": forgotten} + " " + _("The next file is asked about again where its columns are unclear.")
    )
