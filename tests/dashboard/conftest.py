"""Fixtures that the pages' tests share."""

from typing import Any

import pytest

from experiments.roles import Role


@pytest.fixture
def visitor(settings: Any) -> None:
    """Let a visitor look without a login."""
    settings.DASHBOARD_LOGIN_REQUIRED, settings.DASHBOARD_VISITOR_ROLE = False, Role.VIEWER


@pytest.fixture
def own_machine(settings: Any) -> None:
    """Let a visitor do everything without a login, as in DEBUG."""
    settings.DASHBOARD_LOGIN_REQUIRED, settings.DASHBOARD_VISITOR_ROLE = False, Role.ADMIN
