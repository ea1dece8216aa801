"""A provider at which Ann is logged in."""

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.cache import cache
from pytest_django import Settings

from bandit_project.administration.oidc.views import BACKEND
from tests.bandit_project.administration.oidc.person import ANN
from tests.bandit_project.administration.oidc.provider import (
    CLIENT,
    SECRET,
    Provider,
    new_key,
    provider,
)


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    return new_key()


@pytest.fixture
def at(key: rsa.RSAPrivateKey, settings: Settings) -> Iterator[Provider]:
    """A provider at which Ann is logged in, and an installation that trusts it."""
    with provider(key) as made:
        made.person = dict(ANN)
        settings.OIDC_ISSUER, settings.OIDC_NAME = made.issuer, "Example"
        settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = CLIENT, SECRET
        settings.OIDC_GROUPS_CLAIM, settings.OIDC_ROLES = "", {}
        settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, BACKEND]
        settings.DASHBOARD_LOGIN_REQUIRED = True
        cache.clear()
        yield made
