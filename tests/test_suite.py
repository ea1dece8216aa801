"""The suite itself."""

import os

import pytest


@pytest.mark.database_free
@pytest.mark.xdist_group("suite")
def test_group__suite_in_several_processes__is_known_to_their_scheduler(
    request: pytest.FixtureRequest,
) -> None:
    """Tests that start services share a process by their group; pytest-xdist keeps its name in the node's id."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("the suite runs in one process")

    assert request.node.nodeid.endswith("@suite")
