"""A person who logs in at the provider."""

from typing import Any

import requests
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client

ANN = {"sub": "0815", "email": "Ann@Example.com", "email_verified": True}


def at_the_provider(client: Client, goal: str = "") -> str:
    """Press the button, and be sent back by the provider: the address there, with code and state."""
    begun = client.get("/accounts/oidc/", {"next": goal} if goal else {})
    answer = requests.get(begun["Location"], allow_redirects=False, timeout=5)
    return answer.headers["Location"]


def log_in(client: Client, goal: str = "") -> Any:
    return client.get(at_the_provider(client, goal))


def who(client: Client) -> str | None:
    pk = client.session.get("_auth_user_id")
    return User.objects.get(pk=pk).username if pk else None


def assert_refused(client: Client, answer: Any) -> str:
    """Refused with a sentence on the log-in page, and nothing made."""
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/")
    assert who(client) is None
    (sentence,) = get_messages(answer.wsgi_request)
    return str(sentence)
