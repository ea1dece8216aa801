"""These tests start the services and databases they need, one test at a time; their figures end the run's output."""

from collections.abc import Callable
from pathlib import Path

import pytest

_FIGURE = "figure"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("resilience"))
            item.add_marker(pytest.mark.database_free)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    figures = [(r.nodeid, text) for r in reports for name, text in r.user_properties if name == _FIGURE]
    if figures:
        terminalreporter.section("figures")
    for test, figure in dict.fromkeys(figures):
        terminalreporter.write_line(f"{test.partition('::')[2]}: {figure}")


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Says a figure: ``report("12 answers of 503 during the outage")``."""

    def say(figure: str) -> None:
        request.node.user_properties.append((_FIGURE, figure))

    return say
