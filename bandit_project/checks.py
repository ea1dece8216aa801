"""System checks that stop the start on an invalid environment variable."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register


@register()
def check_environment(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    return [Error(str(problem), id="bandit_project.E001") for problem in settings.ENVIRONMENT_PROBLEMS]


@register()
def check_static_files(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warn where collectstatic has not run: outside DEBUG pages take their styles from what it gathers."""
    if settings.DEBUG or (settings.STATIC_ROOT / "staticfiles.json").exists():
        return []
    hint = "Run manage.py collectstatic once after each installation or upgrade."
    return [
        Warning(
            "The static files have not been collected: pages will have no styles.",
            hint,
            id="bandit_project.W001",
        )
    ]
