"""Fixtures of the tests of traffic."""

from typing import Any

import pytest

from experiments.roles import Role
from notifications.models import Endpoint


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint.objects.create(name="ops", address="https://hooks.example.com/")


@pytest.fixture
def own_machine(settings: Any) -> None:
    """Let a visitor do everything without a login, as in DEBUG."""
    settings.DASHBOARD_LOGIN_REQUIRED, settings.DASHBOARD_VISITOR_ROLE = False, Role.ADMIN
