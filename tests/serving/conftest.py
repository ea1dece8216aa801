from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from bandit_project.models import ApiKey

Client = Callable[[str], APIClient]


@pytest.fixture
def client_with() -> Client:
    """Make a client that sends a key of the scope given."""

    def make(scope: str) -> APIClient:
        client = APIClient()
        client.credentials(HTTP_X_API_KEY=ApiKey.objects.create_key(name=scope, scope=scope)[1])
        return client

    return make


@pytest.fixture
def shop(client_with: Client) -> APIClient:
    """A client with a key as it stands in a page."""
    return client_with("serve")
