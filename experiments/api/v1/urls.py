"""Paths of /api/v1/ about experiments and their data."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from experiments.api.v1 import events, views, watch

router = SimpleRouter()
router.register("experiments", views.ExperimentViewSet, basename="experiment")

urlpatterns = [
    *router.urls,
    path("experiments/<str:reference>/variants/", views.VariantsView.as_view(), name="variants"),
    path(
        "experiments/<str:reference>/variants/<int:variant_id>/", views.VariantView.as_view(), name="variant"
    ),
    path("experiments/<str:reference>/metrics/", views.MetricsView.as_view(), name="metrics"),
    path("experiments/<str:reference>/notes/", watch.NotesView.as_view(), name="notes"),
    path("experiments/<str:reference>/notes/<int:note_id>/", watch.NoteView.as_view(), name="note"),
    path("experiments/<str:reference>/guards/", watch.GuardsView.as_view(), name="guards"),
    path("experiments/<str:reference>/guards/<int:guard_id>/", watch.GuardView.as_view(), name="guard"),
    path("events/", events.EventsView.as_view(), name="events"),
    path("events/csv/", events.EventsCsvView.as_view(), name="events-csv"),
    path("events/template.csv", events.EventsTemplateView.as_view(), name="events-template"),
]
