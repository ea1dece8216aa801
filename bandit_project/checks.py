"""Stops the start when a variable of the environment holds nonsense."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register()
def check_environment(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    return [
        Error(
            f"The environment variable {problem.variable} is {problem.value!r}.",
            hint=f"{problem.variable} {problem.fix}.",
            id="bandit_project.E001",
        )
        for problem in settings.ENVIRONMENT_PROBLEMS
    ]
