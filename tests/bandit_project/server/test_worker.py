"""The worker overrides gunicorn's internals: it runs on the version that it was tested with, and on no other."""

import re

import gunicorn
import pytest

from bandit_project.server.worker import TESTED_GUNICORN
from tests.conftest import ROOT

pytestmark = pytest.mark.database_free


def test_gunicorn__pinned_locked_and_installed__is_the_tested_version() -> None:
    pinned = re.search(r'"gunicorn==([^"]+)"', (ROOT / "pyproject.toml").read_text())
    locked = re.search(r"^gunicorn==(\S+)", (ROOT / "requirements.txt").read_text(), re.M)

    assert pinned is not None
    assert locked is not None
    assert [pinned[1], locked[1], gunicorn.__version__] == [TESTED_GUNICORN] * 3
