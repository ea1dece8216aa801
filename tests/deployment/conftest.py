from collections.abc import Iterator

import pytest

from tests.deployment.installation import Image, Installation, built_image, installation


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
    with installed.serving():
        yield installed
