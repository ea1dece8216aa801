"""The classic API's paths about allocations, each with and without a trailing slash."""

from collections.abc import Callable

from django.http.response import HttpResponseBase
from django.urls import path

from allocation.api.classic import views

classic: list[tuple[str, Callable[..., HttpResponseBase], str]] = [
    ("allocation", views.allocation, "classic-allocation"),
    ("experiments/<str:reference>/history", views.history, "classic-history"),
]
urlpatterns = [
    path(route + slash, view, name=name + ("-slash" if slash else ""))
    for route, view, name in classic
    for slash in ("", "/")
]
