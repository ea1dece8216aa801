"""Paths of /api/v1/ about allocations."""

from django.urls import path

from allocation.api.v1 import views

_EXPERIMENT = "experiments/<str:reference>"

urlpatterns = [
    path(f"{_EXPERIMENT}/complete/", views.CompleteView.as_view(), name="complete"),
    path(f"{_EXPERIMENT}/complete/undo/", views.UndoCompletionView.as_view(), name="complete-undo"),
    path(f"{_EXPERIMENT}/guards/resume/", views.GuardsResumeView.as_view(), name="guards-resume"),
    path(f"{_EXPERIMENT}/allocation/", views.AllocationView.as_view(), name="allocation"),
    path(f"{_EXPERIMENT}/allocations/", views.LedgerView.as_view(), name="ledger"),
    path(
        f"{_EXPERIMENT}/allocations/<int:allocation_id>/",
        views.LedgerEntryView.as_view(),
        name="ledger-entry",
    ),
    path(f"{_EXPERIMENT}/assignment/", views.AssignmentView.as_view(), name="assignment"),
    path(f"{_EXPERIMENT}/assignments/", views.AssignmentsView.as_view(), name="assignments"),
    path(f"{_EXPERIMENT}/statistics/", views.StatisticsView.as_view(), name="statistics"),
    path("simulations/", views.SimulationsView.as_view(), name="simulations"),
    path("backtests/", views.BacktestsView.as_view(), name="backtests"),
]
