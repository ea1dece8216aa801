"""Fixtures of the tests of alarms."""

import pytest

from notifications.models import Endpoint


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint.objects.create(name="ops", address="https://hooks.example.com/")
