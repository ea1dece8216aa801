"""A provider at which Ann is logged in."""

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pytest_django import Settings

from tests.bandit_project.administration.oidc.person import ANN
from tests.bandit_project.administration.oidc.provider import (
    Provider,
    new_key,
    provider,
    trust,
)


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    return new_key()


@pytest.fixture
def at(key: rsa.RSAPrivateKey, settings: Settings) -> Iterator[Provider]:
    """A provider at which Ann is logged in, and an installation that trusts it."""
    with provider(key) as made:
        made.person = dict(ANN)
        trust(made, settings, "Example")
        yield made
