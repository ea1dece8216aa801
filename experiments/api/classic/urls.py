"""The classic API's paths, each with and without a trailing slash: a redirect would lose a POST's body."""

from collections.abc import Callable

from django.http.response import HttpResponseBase
from django.urls import path

from experiments.api.classic import views

classic: list[tuple[str, Callable[..., HttpResponseBase], str]] = [
    ("experiments", views.ExperimentsView.as_view(), "classic-experiments"),
    ("experiments/<str:reference>", views.experiment, "classic-experiment"),
    ("events", views.events, "classic-events"),
    ("upload-data", views.upload_data, "classic-upload-data"),
    ("download-template", views.download_template, "classic-download-template"),
    ("reset_data", views.ResetView.as_view(), "classic-reset-data"),
]
urlpatterns = [
    path(route + slash, view, name=name + ("-slash" if slash else ""))
    for route, view, name in classic
    for slash in ("", "/")
]
