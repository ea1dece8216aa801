from collections.abc import Iterator

import pytest

from tests.deployment.installation import Installation, installation


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Migrated, and nothing serves yet."""
    with installation(tmp_path_factory.mktemp("installation")) as made:
        migrated = made.run("migrate")
        assert migrated.returncode == 0, migrated.stderr
        yield made


@pytest.fixture(scope="session")
def served(installed: Installation) -> Iterator[Installation]:
    with installed.serving():
        yield installed
