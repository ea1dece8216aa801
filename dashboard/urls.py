from django.urls import path
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView

from dashboard import algorithm_page
from dashboard.access import View, requires
from dashboard.experiment import actions, ending, handover, settings
from dashboard.experiment import create as new
from dashboard.experiment.data import mapping, uploads
from dashboard.experiment.data import views as data
from dashboard.experiment.explore import page as explore
from dashboard.experiment.history import page as history
from dashboard.experiment.integrate import page as integrate
from dashboard.experiment.report import page as report
from dashboard.experiment.results import page as results
from dashboard.experiment.traffic import page as traffic
from dashboard.experiment_list import file as list_file
from dashboard.experiment_list import page as experiment_list
from dashboard.lab import views as lab
from dashboard.people import urls as people
from experiments.roles import Role

app_name = "dashboard"

_ONE = "experiments/<str:reference>/"
_VARIANT = f"{_ONE}settings/variants/<int:variant_id>/"

# Where the pages of earlier versions are now.
_MOVED = {
    "performance/": "explore",
    "performance/statistics.csv": "statistics-csv",
    "allocation/": "traffic",
    "regret/": "results",
    "confidence/": "explore",
    "activity/": "history",
}


def _moved(to: str) -> View:
    view = RedirectView.as_view(pattern_name=f"dashboard:{to}", permanent=True, query_string=True)
    return require_safe(requires(Role.VIEWER)(view))


urlpatterns = [
    path("", experiment_list.experiments, name="experiments"),
    path("archive/", experiment_list.archive_selected, name="archive-selected"),
    path("load-demo/", actions.load_demo, name="load-demo"),
    path("limits/", new.limits, name="limits"),
    path("experiments/new/", new.new, name="new"),
    path(_ONE, results.results, name="results"),
    path(f"{_ONE}statistics.csv", results.statistics_csv, name="statistics-csv"),
    path(f"{_ONE}explore/", explore.explore, name="explore"),
    path(f"{_ONE}traffic/", traffic.traffic, name="traffic"),
    path(f"{_ONE}traffic/decision-log.csv", traffic.decision_log_csv, name="decision-log-csv"),
    path(f"{_ONE}history/", history.history, name="history"),
    path(f"{_ONE}history/notes/", history.write_note, name="write-note"),
    path(f"{_ONE}history/notes/<int:note_id>/delete/", history.remove_note, name="delete-note"),
    path(f"{_ONE}integrate/", integrate.integrate, name="integrate"),
    path(f"{_ONE}report/", report.report, name="report"),
    path(f"{_ONE}report/links/<int:link_id>/revoke/", report.revoke, name="revoke-report-link"),
    path(f"{_ONE}everything.zip", report.archive, name="archive-file"),
    path("shared/<str:token>/", report.shared, name="shared-report"),
    path(f"{_ONE}simulate/", handover.simulate, name="simulate"),
    path(f"{_ONE}plan/", handover.plan, name="plan"),
    path("use-settings/", handover.use_settings, name="use-settings"),
    path("experiments.csv", list_file.experiments_csv, name="experiments-csv"),
    path(f"{_ONE}data/", data.data, name="data"),
    path(f"{_ONE}data/day/", data.day, name="day"),
    path(f"{_ONE}data/upload/", uploads.upload, name="upload"),
    path(f"{_ONE}data/upload/<slug:token>/", uploads.preview, name="preview"),
    path(f"{_ONE}data/upload/<slug:token>/columns/", uploads.columns, name="columns"),
    path(f"{_ONE}data/columns/", mapping.mapping, name="mapping"),
    path(f"{_ONE}data/columns/forget/", mapping.forget, name="forget-mapping"),
    path(f"{_ONE}data/daily-metrics.csv", data.download, name="download"),
    path(f"{_ONE}data/template.csv", data.template, name="template"),
    path(f"{_ONE}settings/", settings.settings, name="settings"),
    path(f"{_ONE}settings/variants/", settings.add_variant, name="add-variant"),
    path(f"{_VARIANT}rename/", settings.rename_variant, name="rename-variant"),
    path(f"{_VARIANT}retire/", settings.retire_variant, name="retire-variant"),
    path(f"{_VARIANT}bring-back/", settings.bring_back_variant, name="bring-back-variant"),
    path(f"{_VARIANT}control/", settings.make_control, name="make-control"),
    path(f"{_ONE}settings/guards/", settings.add_guard, name="add-guard"),
    path(f"{_ONE}settings/guards/<int:guard_id>/", settings.change_guard, name="change-guard"),
    path(f"{_ONE}settings/guards/<int:guard_id>/delete/", settings.delete_guard, name="delete-guard"),
    path(f"{_ONE}start/", actions.start, name="start"),
    path(f"{_ONE}pause/", actions.pause, name="pause"),
    path(f"{_ONE}resume/", actions.resume, name="resume"),
    path(f"{_ONE}resume-after-guard/", actions.resume_guarded, name="resume-after-guard"),
    path(f"{_ONE}complete/", ending.complete, name="complete"),
    path(f"{_ONE}complete/undo/", ending.undo, name="undo-end"),
    path(f"{_ONE}recompute/", actions.recompute, name="recompute"),
    *lab.urls(),
    *people.urlpatterns,
    path("algorithm/", algorithm_page.algorithm, name="algorithm"),
    path(f"{_ONE}duplicate/", actions.duplicate, name="duplicate"),
    path(f"{_ONE}archive/", actions.archive, name="archive"),
    path(f"{_ONE}unarchive/", actions.unarchive, name="unarchive"),
    path(f"{_ONE}delete/", actions.delete, name="delete"),
    *(path(f"{_ONE}{old}", _moved(new)) for old, new in _MOVED.items()),
]
