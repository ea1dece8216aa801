"""Paths of /api/v1/ about experiments and their data."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from experiments.api.v1 import views

router = SimpleRouter()
router.register("experiments", views.ExperimentViewSet, basename="experiment")

urlpatterns = [
    *router.urls,
    path("experiments/<str:reference>/variants/", views.VariantsView.as_view(), name="variants"),
    path(
        "experiments/<str:reference>/variants/<int:variant_id>/", views.VariantView.as_view(), name="variant"
    ),
    path("experiments/<str:reference>/metrics/", views.MetricsView.as_view(), name="metrics"),
    path("events/", views.EventsView.as_view(), name="events"),
    path("events/csv/", views.EventsCsvView.as_view(), name="events-csv"),
    path("events/template.csv", views.EventsTemplateView.as_view(), name="events-template"),
]
