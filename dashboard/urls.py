from django.urls import path

from dashboard import algorithm_page
from dashboard import experiment_list as experiments
from dashboard.experiment import actions, settings, tabs
from dashboard.experiment import create as new
from dashboard.experiment.data import uploads
from dashboard.experiment.data import views as data
from dashboard.lab import views as lab
from dashboard.people import urls as people

app_name = "dashboard"

_ONE = "experiments/<str:reference>/"
_VARIANT = f"{_ONE}settings/variants/<int:variant_id>/"

urlpatterns = [
    path("", experiments.experiments, name="experiments"),
    path("load-demo/", actions.load_demo, name="load-demo"),
    path("limits/", new.limits, name="limits"),
    path("experiments/new/", new.new, name="new"),
    path(_ONE, tabs.overview, name="overview"),
    path(f"{_ONE}performance/", tabs.performance, name="performance"),
    path(f"{_ONE}performance/statistics.csv", tabs.statistics_csv, name="statistics-csv"),
    path(f"{_ONE}allocation/", tabs.allocation, name="allocation"),
    path(f"{_ONE}regret/", tabs.regret, name="regret"),
    path(f"{_ONE}confidence/", tabs.confidence, name="confidence"),
    path(f"{_ONE}activity/", tabs.activity, name="activity"),
    path(f"{_ONE}data/", data.data, name="data"),
    path(f"{_ONE}data/day/", data.day, name="day"),
    path(f"{_ONE}data/upload/", uploads.upload, name="upload"),
    path(f"{_ONE}data/upload/<slug:token>/", uploads.preview, name="preview"),
    path(f"{_ONE}data/upload/<slug:token>/columns/", uploads.columns, name="columns"),
    path(f"{_ONE}data/daily-metrics.csv", data.download, name="download"),
    path(f"{_ONE}data/template.csv", data.template, name="template"),
    path(f"{_ONE}settings/", settings.settings, name="settings"),
    path(f"{_ONE}settings/variants/", settings.add_variant, name="add-variant"),
    path(f"{_VARIANT}rename/", settings.rename_variant, name="rename-variant"),
    path(f"{_VARIANT}retire/", settings.retire_variant, name="retire-variant"),
    path(f"{_VARIANT}bring-back/", settings.bring_back_variant, name="bring-back-variant"),
    path(f"{_VARIANT}control/", settings.make_control, name="make-control"),
    path(f"{_ONE}start/", actions.start, name="start"),
    path(f"{_ONE}pause/", actions.pause, name="pause"),
    path(f"{_ONE}resume/", actions.resume, name="resume"),
    path(f"{_ONE}resume-after-guard/", actions.resume_guarded, name="resume-after-guard"),
    path(f"{_ONE}complete/", actions.complete, name="complete"),
    path(f"{_ONE}recompute/", actions.recompute, name="recompute"),
    *lab.urls(),
    *people.urlpatterns,
    path("algorithm/", algorithm_page.algorithm, name="algorithm"),
    path(f"{_ONE}duplicate/", actions.duplicate, name="duplicate"),
    path(f"{_ONE}archive/", actions.archive, name="archive"),
    path(f"{_ONE}unarchive/", actions.unarchive, name="unarchive"),
    path(f"{_ONE}delete/", actions.delete, name="delete"),
]
