import pytest
from django.contrib.auth import get_user_model
from django.test import Client


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("op", password="pw"))
    return client
