"""Every path of the service."""

from django.contrib import admin
from django.contrib.auth.views import PasswordResetView
from django.urls import include, path, re_path
from django.utils.translation import gettext_lazy as _
from django.views.generic import RedirectView

from allocation.api.v1.urls import urlpatterns as allocation_api
from bandit_project.administration.oidc.views import (
    LogIn,
    LogOut,
    log_in_to_admin,
    oidc_callback,
    oidc_login,
    oidc_logout,
)
from bandit_project.api import errors
from bandit_project.api.favicon import favicon
from bandit_project.api.openapi.views import SchemaView, docs_view
from bandit_project.api.served import ServedView
from bandit_project.ops.health import health, live
from bandit_project.ops.metrics.views import metrics
from bandit_project.ops.strangers import guarded_login, limited_mails, limited_round_trips
from dashboard.people.invitation import invitation
from dashboard.people.profile import choose_language
from experiments.api.v1.urls import urlpatterns as experiments_api
from serving.api.described import OfrepFlag, OfrepFlags
from serving.api.urls import urlpatterns as serving_api
from serving.api.visits import flag, flags

handler400 = "bandit_project.api.errors.bad_request"
handler403 = "bandit_project.api.errors.permission_denied"
handler404 = "bandit_project.api.errors.not_found"
handler500 = "bandit_project.api.errors.server_error"

admin.site.site_header = admin.site.site_title = _("Bandit administration")

urlpatterns = [
    path("favicon.ico", favicon),
    path("", RedirectView.as_view(pattern_name="dashboard:experiments"), name="home"),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/login/", guarded_login(log_in_to_admin)),
    path("admin/", admin.site.urls),
    path("dashboard", RedirectView.as_view(pattern_name="dashboard:experiments")),
    path("dashboard/", include("dashboard.urls")),
    path("accounts/language/", choose_language, name="set_language"),
    path("accounts/invitation/<str:token>/", invitation, name="invitation"),
    path("accounts/login/", guarded_login(LogIn.as_view()), name="login"),
    path("accounts/logout/", LogOut.as_view(), name="logout"),
    path("accounts/oidc/", limited_round_trips(oidc_login), name="oidc_login"),
    path("accounts/oidc/callback/", limited_round_trips(oidc_callback), name="oidc_callback"),
    path("accounts/oidc/logout/", limited_round_trips(oidc_logout), name="oidc_logout"),
    path("accounts/password_reset/", limited_mails(PasswordResetView.as_view()), name="password_reset"),
    path("accounts/", include("django.contrib.auth.urls")),
    path("health", health, name="health"),
    path("health/", health),
    path("health/live", live, name="live"),
    path("health/live/", live),
    path("metrics", metrics, name="metrics"),
    path("schema", SchemaView.as_view(), name="schema"),
    path("schema/", SchemaView.as_view()),
    path("docs", docs_view, name="docs"),
    path("docs/", docs_view),
    path("ofrep/v1/evaluate/flags", ServedView(flags, "POST", described=OfrepFlags), name="ofrep-flags"),
    path(
        "ofrep/v1/evaluate/flags/<path:key>",
        ServedView(flag, "POST", described=OfrepFlag),
        name="ofrep-flag",
    ),
    path("api/v1/", include(([*serving_api, *allocation_api, *experiments_api], "v1"))),
    path("", include("allocation.api.classic.urls")),
    path("", include("experiments.api.classic.urls")),
    # Last, so that an unknown path answers alike with and without DEBUG.
    re_path("", errors.not_found),
]
