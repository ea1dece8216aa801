"""API keys are left to the dashboard; logins and failed ones get words in our languages."""

from axes.admin import AccessAttemptAdmin
from axes.models import AccessAttempt, AccessAttemptExpiration, AccessFailureLog, AccessLog
from django.apps import apps
from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from rest_framework_api_key.models import APIKey

from experiments.admin.labels import name_in_admin

# The library's own model is not used; ours are made, listed and revoked in the dashboard.
admin.site.unregister(APIKey)
# Axes writes its log of failures only where a setting asks for it; the failed logins say who is locked out. Without
# this the list would be empty while somebody is.
admin.site.unregister(AccessFailureLog)

_LOGIN = {
    "user_agent": _("browser"),
    "ip_address": _("address"),
    "username": _("user name"),
    "http_accept": _("accepted formats"),
    "path_info": _("path"),
    "attempt_time": _("time"),
}
name_in_admin(
    AccessAttempt,
    _("failed login"),
    _("failed logins"),
    {
        **_LOGIN,
        "get_data": _("query"),
        "post_data": _("form"),
        "failures_since_start": _("failures"),
    },
)
name_in_admin(AccessAttemptExpiration, _("expiry of a lock-out"), _("expiries of lock-outs"), {})
name_in_admin(AccessLog, _("login"), _("logins"), {**_LOGIN, "logout_time": _("logged out")})
name_in_admin(AccessFailureLog, _("lock-out"), _("lock-outs"), {**_LOGIN, "locked_out": _("locked out")})
apps.get_app_config("axes").verbose_name = _("Logins")

AccessAttemptAdmin.status.short_description = _("state")
# Axes has no Portuguese: its messages are translated in our catalogue, which collects them from here.
OF_AXES = (_("Form Data"), _("Meta Data"), _("Clean up expired attempts"), _("Locked Out"), _("Yes"), _("No"))
