"""Paths of /api/v1/ about experiments and their data."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from experiments.api.v1 import events, parts, views

router = SimpleRouter()
router.register("experiments", views.ExperimentViewSet, basename="experiment")

urlpatterns = [
    *router.urls,
    path("experiments/<str:reference>/variants/", parts.VariantsView.as_view(), name="variants"),
    path(
        "experiments/<str:reference>/variants/<int:variant_id>/", parts.VariantView.as_view(), name="variant"
    ),
    path("experiments/<str:reference>/metrics/", views.MetricsView.as_view(), name="metrics"),
    path("experiments/<str:reference>/notes/", parts.NotesView.as_view(), name="notes"),
    path("experiments/<str:reference>/notes/<int:note_id>/", parts.NoteView.as_view(), name="note"),
    path("experiments/<str:reference>/guards/", parts.GuardsView.as_view(), name="guards"),
    path("experiments/<str:reference>/guards/<int:guard_id>/", parts.GuardView.as_view(), name="guard"),
    path("events/", events.EventsView.as_view(), name="events"),
    path("events/csv/", events.EventsCsvView.as_view(), name="events-csv"),
    path("events/template.csv", events.EventsTemplateView.as_view(), name="events-template"),
]
