"""Paths of /api/v1/ that visitors' software calls. Those of OFREP are in bandit_project/urls.py, with their door."""

from django.urls import path

from serving.api import views

urlpatterns = [
    path("ruleset/", views.RuleSetView.as_view(), name="ruleset"),
    path("counts/", views.CountsView.as_view(), name="counts"),
]
