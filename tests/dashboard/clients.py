"""People of each role, logged in."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client


def client_of(group: str) -> Client:
    """Log in a viewer, an analyst or an admin."""
    client = Client()
    user = get_user_model().objects.create_user(group, f"{group}@example.com", "a long password 1")
    user.groups.add(Group.objects.get(name=group))
    client.force_login(user)
    return client
