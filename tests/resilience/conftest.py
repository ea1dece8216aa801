"""Run these tests in two rows, since each starts services, and print their figures at the end of the output."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.resilience.databases import server_kept

_FIGURE = "figure"
_FOLDER = str(Path(__file__).parent) + os.sep


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if str(item.path).startswith(_FOLDER):
            # The tests of workers wait most of their time: the others need not wait for them.
            row = "workers" if item.path.stem == "test_workers" else "resilience"
            item.add_marker(pytest.mark.xdist_group(row))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    figures = [(r.nodeid, text) for r in reports for name, text in r.user_properties if name == _FIGURE]
    if figures:
        terminalreporter.section("figures")
    for test, figure in dict.fromkeys(figures):
        terminalreporter.write_line(f"{test.partition('::')[2]}: {figure}")


@pytest.fixture(scope="session", autouse=True)
def _server(django_db_setup: None) -> Iterator[None]:
    with server_kept():
        yield


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """A function that records a figure: ``report("12 answers of 503 during the outage")``."""

    def say(figure: str) -> None:
        request.node.user_properties.append((_FIGURE, figure))

    return say
