from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest

from tests.deployment.installation import Image, Installation, built_image, installation, path
from tests.deployment.login import PASSWORD, client_of


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Built once: no installation can write to it."""
    with built_image(tmp_path_factory.mktemp("image")) as built:
        yield built


@pytest.fixture(scope="session")
def installed(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Migrated, and nothing serves yet."""
    with installation(tmp_path_factory.mktemp("installation"), image) as made:
        migrated = made.run("migrate")
        assert migrated.returncode == 0, migrated.stderr
        yield made


@pytest.fixture(scope="session")
def served(installed: Installation) -> Iterator[Installation]:
    """Served by an interpreter of its own, as in the image."""
    with installed.serving(PATH=path()):
        yield installed


@pytest.fixture(scope="session")
def with_user(served: Installation) -> Installation:
    made = served.run(
        "manage", "createsuperuser", "--noinput", "--username", "ann", "--email", "ann@example.com",
        DJANGO_SUPERUSER_PASSWORD=PASSWORD,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return served


@pytest.fixture(scope="session")
def key(served: Installation) -> str:
    return served.run("manage", "create_api_key", "shop", "--scope", "write").stdout.strip()


@pytest.fixture(scope="session")
def experiment(served: Installation, key: str) -> str:
    """One that has decided, made by calls over HTTPS alone."""
    session = client_of(served, key)
    session.post(f"{served.url}/experiments", json={"name": "Button", "description": ""}).raise_for_status()
    rows = [
        {"variant_name": name, "impressions": 5000, "clicks": n} for name, n in (("control", 350), ("b", 400))
    ]
    day = session.get(f"{served.url}/health").headers["Date"]
    body = {"experiment_id": 1, "date": parsedate_to_datetime(day).date().isoformat(), "variants": rows}
    session.post(f"{served.url}/events", json=body).raise_for_status()
    session.get(f"{served.url}/allocation", params={"experiment_id": 1}).raise_for_status()
    return "button"
