from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin import apps as admin
from django.contrib.staticfiles import apps as staticfiles
from django.utils.translation import gettext_lazy as _


class AdminConfig(admin.AdminConfig):
    default_site = "bandit_project.administration.site.Site"


class StaticFilesConfig(staticfiles.StaticFilesConfig):
    """Collects all but Redoc, which no page shows: a third of an image's static files, and of the time they take."""

    ignore_patterns = [*staticfiles.StaticFilesConfig.ignore_patterns, "redoc"]  # noqa: RUF012  (as Django has it)


class BanditProjectConfig(AppConfig):
    name = "bandit_project"
    verbose_name = _("Accounts and keys")

    def ready(self) -> None:
        from bandit_project import checks  # noqa: F401  (registers itself)
        from bandit_project.api.openapi import schema  # noqa: F401  (registers itself)
        from bandit_project.ops.metrics.counters import start_counting
        from bandit_project.server.connections import spare_closing_caches, spare_health_checks

        if settings.CELERY_BROKER_URL:
            from bandit_project import workers  # noqa: F401  (the broker that work is sent to)
        start_counting()
        spare_health_checks()
        spare_closing_caches()
